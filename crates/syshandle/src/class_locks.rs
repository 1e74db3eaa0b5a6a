//! Locks under Wine: only one client at a time activates a class, and no client activates it while
//! a server of the class ends.
//!
//! On Windows, COM ensures both. Under Wine, clients that activate a class at the same time would
//! each start a server. A client that finds an ending server would wait half a minute for an
//! answer, or would get an object whose server has ended, because Wine can't suspend class objects.

use std::io;
use std::time::Duration;

use syshandle_os::{Mutex, MutexGuard, under_wine};
use syshandle_types::Guid;

/// One named mutex for each class. Empty on Windows.
#[derive(Debug)]
pub(crate) struct ClassLocks(Vec<Mutex>);

impl ClassLocks {
    pub(crate) fn of(classes: impl IntoIterator<Item = Guid>) -> io::Result<Self> {
        let classes = classes.into_iter().filter(|_| under_wine());
        let mutexes = classes.map(|clsid| Mutex::named(&format!("syshandle {clsid}")));
        Ok(Self(mutexes.collect::<io::Result<_>>()?))
    }

    /// Locks the mutexes of all classes until the returned guards are dropped; `None` if one stays
    /// locked for `timeout`.
    pub(crate) fn take(&self, timeout: Duration) -> io::Result<Option<Vec<MutexGuard<'_>>>> {
        self.0.iter().map(|mutex| mutex.lock_timeout(timeout)).collect()
    }
}
