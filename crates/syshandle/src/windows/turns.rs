//! One after the other, under Wine: clients that activate a class, and a server of it that ends.
//!
//! On Windows COM sees to that. Under Wine clients that come at the same time would each start a
//! server; and one that has found a server which is just ending waits half a minute for an answer, or
//! gets an object whose server is gone, as class objects can't be suspended there.

use std::io;
use std::time::Duration;

use syshandle_os::{Mutex, MutexGuard, under_wine};
use syshandle_wire::Guid;

/// What clients of some classes, and their servers, own in turn. Of nothing on Windows.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex>);

impl Turns {
    pub(crate) fn of(classes: impl IntoIterator<Item = Guid>) -> io::Result<Self> {
        let classes = classes.into_iter().filter(|_| under_wine());
        let mutexes = classes.map(|clsid| Mutex::named(&format!("syshandle {clsid}")));
        Ok(Self(mutexes.collect::<io::Result<_>>()?))
    }

    /// Has the turn for all of the classes until what is returned is dropped; `None` if somebody
    /// else has one for this long.
    pub(crate) fn take(&self, timeout: Duration) -> io::Result<Option<Vec<MutexGuard<'_>>>> {
        self.0.iter().map(|mutex| mutex.lock_timeout(timeout)).collect()
    }
}
