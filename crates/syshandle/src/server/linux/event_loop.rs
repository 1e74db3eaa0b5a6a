//! An event loop: a poller and its sources. One thread at a time runs it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use syshandle_os::{Interest, ManualEvent, PollEvent, Poller};

use super::acceptor::Acceptor;
use super::connection::ServerConnection;
use super::doors::InnerDoor;
use super::reactor::surely;
use super::session::Session;
use super::task::Task;
use crate::Result;
use crate::setup::failed;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Mutex, MutexGuard, wait_for_ready};

/// The message of an error for a loop that can't be created.
pub(super) const NO_LOOP: &str = "no event loop can be made";

/// An event loop. The key of a source contains the index of its loop.
pub(crate) struct EventLoop {
    index: usize,
    poller: Poller,
    sources: Mutex<Sources>,
    last_key: AtomicU64,
    /// Ready sources that are not handled yet, in reverse order. A thread that takes the loop over
    /// continues with them.
    ready: Mutex<Vec<PollEvent>>,
    /// Sources to be handled although the poller did not report them.
    reminders: Reminders,
    /// Number of clients and doors.
    load: AtomicUsize,
    /// Whether no source is ready and the thread sleeps.
    sleeps: AtomicBool,
    /// Whether a thread was requested for this loop.
    pub(super) is_run: AtomicBool,
    /// Number of calls of the loop's clients whose methods have ended.
    pub(super) calls: StdAtomicU64,
}

type Sources = HashMap<u64, Source, BuildHasherDefault<KeyHasher>>;

/// A source of events that a loop waits for.
#[derive(Clone)]
pub(crate) enum Source {
    /// Background tasks to end, or a request to check whether the server may end.
    Wakeup,
    /// The end of the server.
    Stop,
    /// The timerfd of [`Timers`](super::timers::Timers).
    Alarm,
    /// `SIGTERM`.
    Signal,
    /// The listening socket.
    Acceptor(Arc<Acceptor>),
    /// The socket of a client.
    Connection(Arc<ServerConnection>),
    /// The inner end of a door.
    Door(Arc<InnerDoor>),
    /// The object or the timer of a background task.
    Task(Arc<Task>),
    /// The process of a client that disconnected in order and still has background tasks.
    Process(Arc<Session>),
}

impl EventLoop {
    /// Limit of loops: the number that the low bits of a key can tell apart.
    pub(crate) const MAX: usize = 1 << INDEX_BITS;

    /// Creates a loop that `stop` wakes.
    pub(crate) fn new(index: usize, stop: &ManualEvent) -> Result<Self> {
        let event_loop = Self {
            index,
            poller: Poller::new().map_err(failed("epoll_create1", NO_LOOP))?,
            sources: Mutex::default(),
            last_key: AtomicU64::new(0),
            ready: Mutex::new(Vec::with_capacity(AT_ONCE)),
            reminders: Reminders::default(),
            load: AtomicUsize::new(0),
            sleeps: AtomicBool::new(false),
            is_run: AtomicBool::new(false),
            calls: StdAtomicU64::new(0),
        };
        let added = event_loop.add(
            |_| Source::Stop,
            |poller, key| {
                debug_assert_eq!(key, event_loop.stop_key());
                poller.add(stop, key, Interest::EachReadable)
            },
        );
        added.map_err(failed("epoll_ctl", NO_LOOP))?;
        Ok(event_loop)
    }

    /// Returns the key of the stop event, which is the first source.
    fn stop_key(&self) -> u64 {
        (1 << INDEX_BITS) + self.index as u64
    }

    /// Wakes the thread that runs this loop. Changes the interest in the stop event to include
    /// writability. This event is registered anyway and is always writable.
    pub(super) fn wake(&self, stop: &ManualEvent) {
        surely(|| self.poller.change(stop, self.stop_key(), Interest::EachBoth));
    }

    /// Returns the index of the loop in a key.
    pub(crate) fn index_of(key: u64) -> usize {
        (key % Self::MAX as u64) as usize
    }

    /// Returns whether the thread of this loop sleeps.
    pub(crate) fn sleeps(&self) -> bool {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// Returns the number of clients and doors.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Adds a source and watches it; returns its key.
    pub(crate) fn add(
        &self,
        make: impl FnOnce(u64) -> Source,
        watch: impl FnOnce(&Poller, u64) -> io::Result<()>,
    ) -> io::Result<u64> {
        let number = self.last_key.fetch_add(1, Ordering::Relaxed) + 1;
        let key = (number << INDEX_BITS) + self.index as u64;
        let source = make(key);
        if source.is_client() {
            self.load.fetch_add(1, Ordering::Relaxed);
        }
        self.sources().insert(key, source);
        watch(&self.poller, key).inspect_err(|_| drop(self.forget(key)))?;
        Ok(key)
    }

    /// Returns the poller, for changes of the interest in a source.
    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Removes a source that isn't watched. Returns `None` if another thread has removed it.
    pub(crate) fn forget(&self, key: u64) -> Option<Source> {
        let source = self.sources().remove(&key)?;
        if source.is_client() {
            self.load.fetch_sub(1, Ordering::Relaxed);
        }
        Some(source)
    }

    /// Returns the source of a key, unless it was removed.
    pub(crate) fn source(&self, key: u64) -> Option<Source> {
        self.sources().get(&key).cloned()
    }

    /// Returns all present sources.
    pub(crate) fn all(&self) -> Vec<(u64, Source)> {
        self.sources().iter().map(|(key, source)| (*key, source.clone())).collect()
    }

    /// Takes the next ready source to be handled.
    pub(crate) fn next(&self) -> Option<PollEvent> {
        self.ready().pop()
    }

    /// Polls for ready sources without blocking; returns their number.
    pub(crate) fn look(&self) -> io::Result<usize> {
        let mut ready = self.ready();
        self.poller.look(&mut ready)?;
        self.reminders.take(&mut ready);
        ready.reverse();
        Ok(ready.len())
    }

    /// Has a source handled once more, after the sources that are ready. Does not wake a thread
    /// that waits for this loop.
    pub(crate) fn remind(&self, key: u64) {
        self.reminders.add(key);
    }

    /// Waits until a source is ready; returns the number of ready sources.
    pub(crate) fn wait(&self) -> io::Result<usize> {
        if self.reminders.are_any() {
            return self.look();
        }
        // Only this thread uses the list. It is taken out so that no lock is held during the sleep.
        let mut ready = std::mem::take(&mut *self.ready());
        self.sleeps.store(true, Ordering::Relaxed);
        let waited = wait_for_ready(&self.poller, &mut ready);
        self.sleeps.store(false, Ordering::Relaxed);
        ready.reverse();
        let count = ready.len();
        *self.ready() = ready;
        waited.map(|()| count)
    }

    fn ready(&self) -> MutexGuard<'_, Vec<PollEvent>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of sources, in the order in which they are to be handled.
#[derive(Default)]
struct Reminders {
    /// Whether there are any keys. Avoids taking the lock in the usual case that there are none.
    any: AtomicBool,
    keys: Mutex<Vec<u64>>,
}

impl Reminders {
    fn are_any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    fn add(&self, key: u64) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains(&key) {
            keys.push(key);
        }
        self.any.store(true, Ordering::SeqCst);
    }

    fn take(&self, ready: &mut Vec<PollEvent>) {
        if self.are_any() {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            self.any.store(false, Ordering::SeqCst);
            ready.extend(keys.drain(..).map(|key| PollEvent {
                key,
                readable: false,
                writable: false,
            }));
        }
    }
}

impl Source {
    /// Returns whether the source brings continuous work, which is balanced between the loops.
    fn is_client(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Door(_))
    }
}

/// Hashes keys. No client chooses keys, so the hash needs no protection against deliberate
/// collisions.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, key: u64) {
        // An odd number near the golden section of 2⁶⁴. Multiplication changes all bits.
        self.0 = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Number of low bits of a key that contain the index of its loop.
const INDEX_BITS: u32 = 6;

/// Initial capacity for ready sources, and so the number that is handled before the next poll.
const AT_ONCE: usize = 32;
