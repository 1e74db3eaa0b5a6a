//! Mutual exclusion under Wine between clients that activate a class and an ending server of it.
//!
//! On Windows COM takes care of that. Under Wine simultaneous clients would each start a server. A
//! client that finds an ending server would wait half a minute for an answer, or would get an
//! object whose server has ended, because Wine can't suspend class objects.

use std::io;
use std::time::Duration;

use syshandle_os::{Mutex, MutexGuard, under_wine};
use syshandle_types::Guid;

/// Named mutexes of some classes. Empty on Windows.
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
