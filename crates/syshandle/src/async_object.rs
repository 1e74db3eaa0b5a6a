//! Objects with asynchronous methods.

use std::sync::Arc;

use tokio::runtime::Handle;

/// An object whose methods are `async fn` and run as tasks of a tokio runtime.
///
/// For each interface `Foo`, the macro [`interface`](crate::interface) generates a second trait
/// `FooAsync`, with the same methods as futures. An implementation of it is wrapped in an
/// `AsyncObject`, which is used wherever an implementation of `Foo` is: in
/// [`Server::class`](crate::Server::class), [`in_process`](crate::in_process()) and
/// [`Context::serve`](crate::Context::serve).
///
/// ```
/// # use syshandle::{Result, class, interface, tokio::AsyncObject};
/// # use std::time::Duration;
/// # #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a41")]
/// # pub trait Clock { fn tick(&self, after: Duration) -> Result<String>; }
/// # class! { CLOCK: Clock = "7c1e1f6a-2f0b-4f0d-9d3e-52f1f5a7b941"; }
/// struct Quartz;
///
/// impl ClockAsync for Quartz {
///     async fn tick(&self, after: Duration) -> Result<String> {
///         tokio::time::sleep(after).await;
///         Ok("tick".into())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let runtime = tokio::runtime::Runtime::new()?;
/// let tasks = runtime.handle().clone();
/// let server = syshandle::Server::new().class(CLOCK, move || AsyncObject::new(&tasks, Quartz));
/// # drop(server);
/// # let clock: ClockClient = CLOCK.in_process(AsyncObject::new(runtime.handle(), Quartz))?;
/// # assert_eq!(clock.tick(&Duration::from_millis(1))?, "tick");
/// # Ok(())
/// # }
/// ```
///
/// # How a call runs
/// The server decodes the arguments and verifies the handles, and then spawns a task. A method that
/// waits takes no thread, so it counts neither in `Server::max_concurrent_calls` nor among the
/// threads. The limit is `Server::max_async_calls` instead.
///
/// - The future of a method is dropped at its next `await` when its client cancels the call, gives
///   up at its deadline, or disconnects. A method that must not stop there spawns a task of its own.
/// - A panic ends the call with [`ErrorKind::Panicked`](crate::ErrorKind::Panicked).
/// - A server that ends waits for futures as it does for methods
///   ([`drain_timeout`](crate::Server::drain_timeout)), and drops them afterwards.
/// - A call whose runtime is shut down fails, and may have run.
///
/// On Windows a thread of COM waits for the future, cancellation is not reported, and the limit is
/// the one of COM.
#[derive(Debug)]
pub struct AsyncObject<T> {
    implementation: Arc<T>,
    runtime: Handle,
}

impl<T> AsyncObject<T> {
    /// Makes an object whose methods run in a runtime.
    pub fn new(runtime: &Handle, implementation: T) -> Self {
        Self { implementation: Arc::new(implementation), runtime: runtime.clone() }
    }

    pub(crate) fn implementation(&self) -> Arc<T> {
        self.implementation.clone()
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}
