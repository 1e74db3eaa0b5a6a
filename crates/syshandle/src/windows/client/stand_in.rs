//! References among the handles of a message.
//!
//! Values are encoded as bytes with handles beside them; COM's references are pointers. So a handle
//! stands in for each reference, one to an event that nobody waits for, and who passes the message on
//! looks here which reference is meant.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syshandle_com::{Came, Passing};
use syshandle_os::{BorrowedHandle, Handle, ManualEvent, OwnedHandle};

use crate::{Client, Result};

/// A handle on its way, or a reference.
#[derive(Debug)]
pub(crate) enum Carried {
    Handle(OwnedHandle),
    Object(Client),
}

impl Carried {
    /// What a handle of an encoded message is, for as long as that takes.
    pub(crate) fn copy(handle: &BorrowedHandle<'_>) -> io::Result<Self> {
        match lent(handle) {
            Some(client) => Ok(Self::Object(client)),
            None => handle.try_clone_to_owned().map(Self::Handle),
        }
    }

    /// What COM gave to this process. On a thread of the apartment.
    pub(crate) fn of(came: Came) -> Result<Self> {
        Ok(match came {
            Came::Handle(handle) => Self::Handle(handle),
            Came::Object(reference) => Self::Object(Client::came(reference)?),
        })
    }

    /// As COM takes it. On a thread of the apartment.
    pub(crate) fn pass(&self) -> Result<Passing<'_>> {
        Ok(match self {
            Self::Handle(handle) => Passing::Handle(handle.as_handle()),
            Self::Object(client) => Passing::Object(client.offer()?),
        })
    }

    pub(crate) fn into_handle(self) -> Option<OwnedHandle> {
        match self {
            Self::Handle(handle) => Some(handle),
            Self::Object(_) => None,
        }
    }
}

/// A handle of an encoded message as COM takes it. On a thread of the apartment.
pub(crate) fn pass<'h>(handle: &BorrowedHandle<'h>) -> Result<Passing<'h>> {
    Ok(match lent(handle) {
        Some(client) => Passing::Object(client.offer()?),
        None => Passing::Handle(*handle),
    })
}

/// What stands for a reference, as long as it is there.
#[derive(Debug)]
pub(super) struct StandIn(ManualEvent);

/// Those that there are, by the numbers of their handles: none is closed before it is away from here.
static LENT: Mutex<Option<HashMap<usize, Client>>> = Mutex::new(None);

impl StandIn {
    pub(super) fn new(client: Client) -> io::Result<Self> {
        let event = ManualEvent::new()?;
        all_lent().get_or_insert_default().insert(number(&event.as_handle()), client);
        Ok(Self(event))
    }

    pub(super) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let client = all_lent().as_mut().and_then(|all| all.remove(&number(&self.as_handle())));
        // Not under the lock: it may be the last of a reference.
        drop(client);
    }
}

/// The reference that a handle stands for.
fn lent(handle: &BorrowedHandle<'_>) -> Option<Client> {
    all_lent().as_ref()?.get(&number(handle)).cloned()
}

fn all_lent() -> MutexGuard<'static, Option<HashMap<usize, Client>>> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The references of the messages that this thread is reading, those of the innermost last.
    static COME: RefCell<Vec<HashMap<usize, Client>>> = const { RefCell::new(Vec::new()) };
}

/// Has a message read: `read` gets its handles, and references by [`take`].
///
/// # Errors
/// Those of `CreateEvent`.
pub(crate) fn hand_over<T>(
    carried: Vec<Carried>,
    read: impl FnOnce(Vec<OwnedHandle>) -> T,
) -> io::Result<T> {
    /// What nobody took is let go of.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            drop(COME.with_borrow_mut(Vec::pop));
        }
    }

    let mut come = HashMap::new();
    let mut handles = Vec::with_capacity(carried.len());
    for carried in carried {
        handles.push(match carried {
            Carried::Handle(handle) => handle,
            Carried::Object(client) => {
                let event = OwnedHandle::from(ManualEvent::new()?);
                come.insert(number(&event.as_handle()), client);
                event
            }
        });
    }
    COME.with_borrow_mut(|all| all.push(come));
    let _end = End;
    Ok(read(handles))
}

/// The reference that a handle of the message stands for, which this thread is reading.
pub(super) fn take(handle: &OwnedHandle) -> Option<Client> {
    COME.with_borrow_mut(|all| all.last_mut()?.remove(&number(&handle.as_handle())))
}

fn number(handle: &BorrowedHandle<'_>) -> usize {
    handle.as_raw_handle().addr()
}
