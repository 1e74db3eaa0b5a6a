//! Withdrawing an object of this process.

use std::fmt::Debug;
use std::sync::Weak;

/// Withdraws an object that this process serves. [`Client::withdrawal`](crate::Client::withdrawal)
/// returns it.
///
/// A withdrawal may be cloned, and used on any thread. It does not keep the object alive. So the
/// program can hold it and still learn from the destructor of the object that no reference is left.
///
/// ```
/// # use syshandle::{Result, in_process, interface, object::Proxy};
/// # #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec79")]
/// # pub trait Progress { fn report(&self, percent: u32) -> Result<()>; }
/// # struct Bar;
/// # impl Progress for Bar { fn report(&self, _: u32) -> Result<()> { Ok(()) } }
/// # fn main() -> Result<()> {
/// let progress = in_process::<dyn Progress, _>(Bar)?;
/// let withdrawal = progress.as_client().withdrawal();
/// // The program passes `progress` to a server. Later it wants no more reports:
/// assert!(withdrawal.is_some_and(|withdrawal| withdrawal.withdraw()));
/// assert!(!progress.report(50).unwrap_err().may_have_run());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Withdrawal(Weak<dyn Withdraw>);

/// An object that its owner can withdraw.
pub(crate) trait Withdraw: Debug + Send + Sync {
    /// Withdraws the object. Returns `false` if it was withdrawn before.
    fn withdraw(&self) -> bool;
}

impl Withdrawal {
    pub(crate) fn new(object: Weak<dyn Withdraw>) -> Self {
        Self(object)
    }

    /// Withdraws the object from all holders of references to it, in this process and in others.
    ///
    /// A call that arrives after the return of this function fails with
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected), "the object no longer exists",
    /// and did not run. Passing a reference on to another process fails too. Running methods finish,
    /// and their callers get the results. Background tasks that methods of the object started
    /// continue.
    ///
    /// On Linux, the connections to the object then end, and their descriptors are closed.
    /// References that methods have returned over such a connection end with it. A client that got
    /// the object from a method keeps its connection, and loses only this object. A caller that
    /// does not read its results loses them after ten seconds. On Windows, the holders keep their
    /// COM references until they release them.
    ///
    /// The object itself is dropped when its last method has ended, on the thread that calls this
    /// function or on a thread of the object's server. This function does not wait for methods, so
    /// a method of the object may call it.
    ///
    /// Returns `true` if this call withdrew the object. Returns `false` if the object was withdrawn
    /// before or no longer exists, and in a forked copy of the process that serves it.
    pub fn withdraw(&self) -> bool {
        self.0.upgrade().is_some_and(|object| object.withdraw())
    }
}
