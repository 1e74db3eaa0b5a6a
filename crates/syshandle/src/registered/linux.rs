//! The registered handles of this process, by their descriptor numbers.
//!
//! A registered value owns its descriptor as long as it is registered. So any borrowed handle with
//! the same number is this descriptor, wherever in a message it stands.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use syshandle_os::{BorrowedHandle, PerProcess, ProcessMark};

/// The registration of a handle. Dropping it gives up the slots that hold the handle.
#[derive(Debug)]
pub(crate) struct Registration {
    id: u64,
    number: RawFd,
    owner: ProcessMark,
    /// The connections whose peers were asked to keep the handle.
    connections: Mutex<Vec<Weak<dyn Registrar>>>,
}

/// A connection on which registered handles are passed.
pub(crate) trait Registrar: std::fmt::Debug + Send + Sync {
    /// Gives up the slot of a handle that is no longer registered.
    fn forget(&self, number: RawFd, registration: u64);
}

impl Registration {
    /// Returns the registration of a handle. Several values with the same descriptor share it.
    pub(super) fn of(handle: BorrowedHandle<'_>) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = handle.as_raw_fd();
        let new = || Self {
            id: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            number,
            owner: ProcessMark::current(),
            connections: Mutex::default(),
        };
        let Some(table) = table() else { return Arc::new(new()) };
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(registration) = table.get(&number).and_then(Weak::upgrade) {
            return registration;
        }
        let registration = Arc::new(new());
        if table.insert(number, Arc::downgrade(&registration)).is_none() {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        registration
    }

    /// Returns the registration of a handle, if the handle is registered.
    pub(crate) fn find(number: RawFd) -> Option<Arc<Self>> {
        let table = table()?.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&number)?.upgrade()
    }

    /// Returns what distinguishes the registration from an earlier one of the same number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Adds a connection whose peer is asked to keep the handle.
    pub(crate) fn add(&self, connection: Weak<dyn Registrar>) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() == connections.capacity() {
            connections.retain(|connection| connection.strong_count() > 0);
        }
        connections.push(connection);
    }
}

/// A forked copy of the process does nothing, because a thread of the original may have held a lock
/// at the fork.
impl Drop for Registration {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            return;
        }
        if let Some(table) = table() {
            let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
            let is_own = |entry: &Weak<Self>| std::ptr::eq(entry.as_ptr(), self);
            if table.get(&self.number).is_some_and(is_own) {
                table.remove(&self.number);
                COUNT.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let connections = std::mem::take(&mut self.connections);
        let connections = connections.into_inner().unwrap_or_else(PoisonError::into_inner);
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.forget(self.number, self.id);
        }
    }
}

/// Returns whether any handle of this process is registered.
#[inline]
pub(crate) fn is_any_registered() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// Number of registered handles.
static COUNT: AtomicUsize = AtomicUsize::new(0);

type Table = RwLock<HashMap<RawFd, Weak<Registration>>>;

/// Returns the table of this process. A forked copy has a table of its own.
fn table() -> Option<&'static Table> {
    static TABLE: PerProcess<Table> = PerProcess::new();
    TABLE.get()
}
