//! Stand-ins for references among the handles of a message.
//!
//! Values are encoded as bytes with a list of handles, but COM's references are pointers. Therefore
//! a *stand-in*, which is a handle to an otherwise unused event, represents each reference in that
//! list. When the message is passed to COM, this module returns the reference of each stand-in.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syshandle_com::{InterfacePointer, LentHandle};
use syshandle_os::{BorrowedHandle, Handle, ManualEvent, OwnedHandle};

use crate::Result;

/// A reference to an object, as far as a message needs it.
pub(crate) trait PassedReference: Debug + Send + Sync {
    /// Returns the reference in the form that COM passes. Must run on a thread of the apartment.
    fn to_com(&self) -> Result<InterfacePointer>;

    /// Returns the client that this reference is.
    fn into_client(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A handle or a reference that a message passes.
#[derive(Debug)]
pub(crate) enum HandleOrObject {
    Handle(OwnedHandle),
    Object(Arc<dyn PassedReference>),
}

impl HandleOrObject {
    /// Copies a handle of an encoded message: duplicates the handle, or returns the reference that
    /// it represents.
    pub(crate) fn copy(handle: &BorrowedHandle<'_>) -> io::Result<Self> {
        match lent(handle) {
            Some(reference) => Ok(Self::Object(reference)),
            None => handle.try_clone_to_owned().map(Self::Handle),
        }
    }

    /// Converts to the form that COM passes. Must run on a thread of the apartment.
    pub(crate) fn pass(&self) -> Result<LentHandle<'_>> {
        Ok(match self {
            Self::Handle(handle) => LentHandle::Handle(handle.as_handle()),
            Self::Object(reference) => LentHandle::Object(reference.to_com()?),
        })
    }

    pub(crate) fn into_handle(self) -> Option<OwnedHandle> {
        match self {
            Self::Handle(handle) => Some(handle),
            Self::Object(_) => None,
        }
    }
}

/// Converts a handle of an encoded message to the form that COM passes. Must run on a thread of the
/// apartment.
pub(crate) fn pass<'h>(handle: &BorrowedHandle<'h>) -> Result<LentHandle<'h>> {
    Ok(match lent(handle) {
        Some(reference) => LentHandle::Object(reference.to_com()?),
        None => LentHandle::Handle(*handle),
    })
}

/// The stand-in for a reference. It represents the reference until it is dropped.
#[derive(Debug)]
pub(crate) struct StandIn(ManualEvent);

/// References of all stand-ins, by handle value. An entry is removed before its handle is closed.
static LENT: Mutex<Option<References>> = Mutex::new(None);

/// References by the values of the handles that represent them.
type References = HashMap<usize, Arc<dyn PassedReference>>;

impl StandIn {
    pub(crate) fn new(reference: Arc<dyn PassedReference>) -> io::Result<Self> {
        let event = ManualEvent::new()?;
        all_lent().get_or_insert_default().insert(number(&event.as_handle()), reference);
        Ok(Self(event))
    }

    pub(crate) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let reference = all_lent().as_mut().and_then(|all| all.remove(&number(&self.as_handle())));
        // This may be the last clone of the reference, whose drop takes time. So it is dropped
        // after the lock is released.
        drop(reference);
    }
}

/// Returns the reference that a handle represents.
fn lent(handle: &BorrowedHandle<'_>) -> Option<Arc<dyn PassedReference>> {
    all_lent().as_ref()?.get(&number(handle)).cloned()
}

fn all_lent() -> MutexGuard<'static, Option<References>> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// References of the messages that this thread is decoding, with the innermost message last.
    static DECODED_REFERENCES: RefCell<Vec<References>> = const { RefCell::new(Vec::new()) };
}

/// Calls `read` with the handles and stand-ins of a message. `read` exchanges each stand-in for its
/// reference with [`take`].
///
/// # Errors
/// The errors of `CreateEvent`.
pub(crate) fn hand_over<T>(
    items: Vec<HandleOrObject>,
    read: impl FnOnce(Vec<OwnedHandle>) -> T,
) -> io::Result<T> {
    /// Drops the references that were not taken.
    struct PopOnDrop;

    impl Drop for PopOnDrop {
        fn drop(&mut self) {
            drop(DECODED_REFERENCES.with_borrow_mut(Vec::pop));
        }
    }

    let mut references = HashMap::new();
    let mut handles = Vec::with_capacity(items.len());
    for item in items {
        handles.push(match item {
            HandleOrObject::Handle(handle) => handle,
            HandleOrObject::Object(reference) => {
                let event = OwnedHandle::from(ManualEvent::new()?);
                references.insert(number(&event.as_handle()), reference);
                event
            }
        });
    }
    DECODED_REFERENCES.with_borrow_mut(|all| all.push(references));
    let _end = PopOnDrop;
    Ok(read(handles))
}

/// Takes the reference that a handle represents in the message that this thread is decoding.
pub(crate) fn take(handle: &OwnedHandle) -> Option<Arc<dyn PassedReference>> {
    DECODED_REFERENCES.with_borrow_mut(|all| all.last_mut()?.remove(&number(&handle.as_handle())))
}

fn number(handle: &BorrowedHandle<'_>) -> usize {
    handle.as_raw_handle().addr()
}
