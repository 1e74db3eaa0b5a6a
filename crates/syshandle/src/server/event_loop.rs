//! What one thread at a time waits for and acts on: a poller, and the sources in it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use syshandle_os::{Interest, ManualEvent, Poller, Ready};

use super::accept::Entrance;
use super::connection::Connection;
use super::doors::InnerDoor;
use super::jobs::Job;
use super::newest::Newest;
use super::reactor::{Reactor, surely};
use super::session::Session;
use crate::Result;
use crate::setup::failed;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Mutex, MutexGuard, wait_beside, wait_for_ready};

/// The error of a loop that can't be made.
pub(super) const NO_LOOP: &str = "no event loop can be made";

/// What one thread at a time waits for. What a source's key is says which loop it is in.
pub(crate) struct EventLoop {
    index: usize,
    poller: Poller,
    sources: Mutex<Sources>,
    last_key: AtomicU64,
    /// A job that isn't in the poller yet.
    pub(super) newest: Arc<Newest>,
    /// What has become ready, the last one first, until it is acted on: whoever takes the loop over
    /// goes on with it.
    ready: Mutex<Vec<Ready>>,
    /// Sources that are to be acted on though nothing of them has become ready.
    reminders: Reminders,
    /// Clients and doors.
    load: AtomicUsize,
    /// Nothing is ready, and its thread sleeps.
    sleeps: AtomicBool,
    /// A thread was asked for.
    pub(super) is_run: AtomicBool,
}

type Sources = HashMap<u64, Source, BuildHasherDefault<KeyHasher>>;

/// What a thread waits for.
#[derive(Clone)]
pub(crate) enum Source {
    /// Jobs to end.
    Work,
    /// The end.
    Stop,
    /// A timer that is due.
    Alarm,
    /// A signal that asks for the end.
    Signal,
    /// Clients that connect.
    Entrance(Arc<Entrance>),
    /// Frames from a client.
    Connection(Arc<Connection>),
    /// Clients that come through a door.
    Door(Arc<InnerDoor>),
    /// An object, or a time, that a job waits for.
    Job(Arc<Job>),
    /// The death of a client that has let go.
    Process(Arc<Session>),
}

impl EventLoop {
    /// There may be as many as the lowest bits of a key can tell apart.
    pub(crate) const MAX: usize = 1 << INDEX_BITS;

    /// A loop that `stop` wakes.
    pub(crate) fn new(index: usize, stop: &ManualEvent) -> Result<Self> {
        let event_loop = Self {
            index,
            poller: Poller::new().map_err(failed("epoll_create1", NO_LOOP))?,
            sources: Mutex::default(),
            last_key: AtomicU64::new(0),
            newest: Arc::default(),
            ready: Mutex::new(Vec::with_capacity(AT_ONCE)),
            reminders: Reminders::default(),
            load: AtomicUsize::new(0),
            sleeps: AtomicBool::new(false),
            is_run: AtomicBool::new(false),
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

    /// That of the first source.
    fn stop_key(&self) -> u64 {
        (1 << INDEX_BITS) + self.index as u64
    }

    /// Wakes the thread that runs this loop, for nothing but to look around: by what ends it, which
    /// is a source that is there anyway, and always has room to write.
    pub(super) fn wake(&self, stop: &ManualEvent) {
        surely(|| self.poller.change(stop, self.stop_key(), Interest::EachBoth));
    }

    /// The loop that a key says.
    pub(crate) fn index_of(key: u64) -> usize {
        (key % Self::MAX as u64) as usize
    }

    /// Whether its thread has nothing to do.
    pub(crate) fn sleeps(&self) -> bool {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// How many clients and doors it has.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Adds a source and waits for it; returns its key.
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

    /// What it waits with, for those who change how their source is waited for.
    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Removes a source that isn't waited for; `None` when somebody else was quicker.
    pub(crate) fn forget(&self, key: u64) -> Option<Source> {
        let source = self.sources().remove(&key)?;
        if source.is_client() {
            self.load.fetch_sub(1, Ordering::Relaxed);
        }
        Some(source)
    }

    /// The source of a key, unless it was removed.
    pub(crate) fn source(&self, key: u64) -> Option<Source> {
        self.sources().get(&key).cloned()
    }

    /// All sources of now.
    pub(crate) fn all(&self) -> Vec<(u64, Source)> {
        self.sources().iter().map(|(key, source)| (*key, source.clone())).collect()
    }

    /// What is to be acted on next.
    pub(crate) fn next(&self) -> Option<Ready> {
        self.ready().pop()
    }

    /// Looks what has become ready; returns how many that are.
    pub(crate) fn look(&self) -> io::Result<usize> {
        let taken = self.newest.job().filter(|job| job.take());
        let mut ready = self.ready();
        self.poller.look(&mut ready)?;
        self.reminders.take(&mut ready);
        ready.extend(taken.map(|job| Ready::to_read(job.key())));
        ready.reverse();
        Ok(ready.len())
    }

    /// Has a source acted on once more, after what has become ready. A thread that waits for this
    /// loop isn't woken.
    pub(crate) fn remind(&self, key: u64) {
        self.reminders.add(key);
    }

    /// Waits until something becomes ready; returns how many that are.
    pub(crate) fn wait(&self, reactor: &Reactor) -> io::Result<usize> {
        if self.reminders.are_any() {
            return self.look();
        }
        // Nobody else is at it: but no lock is held while this thread sleeps.
        let mut ready = std::mem::take(&mut *self.ready());
        let newest = self.newest.job();
        let object = newest.as_ref().and_then(|job| job.object());
        self.sleeps.store(true, Ordering::Relaxed);
        let waited = match &object {
            Some(object) => wait_beside(&self.poller, &**object, &mut ready),
            None => wait_for_ready(&self.poller, &mut ready).map(|()| false),
        };
        self.sleeps.store(false, Ordering::Relaxed);
        drop(object);
        let signalled = newest.filter(|_| matches!(waited, Ok(true)));
        if signalled.is_none()
            && let Some(job) = self.newest.take()
        {
            // Something else came first.
            job.add_to_poller(reactor);
        }
        ready.extend(signalled.map(|job| Ready::to_read(job.key())));
        ready.reverse();
        let count = ready.len();
        *self.ready() = ready;
        waited.map(|_| count)
    }

    fn ready(&self) -> MutexGuard<'_, Vec<Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of sources, in the order in which they are to be acted on.
#[derive(Default)]
struct Reminders {
    /// So that nobody needs the lock where there are none, as is usual.
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

    fn take(&self, ready: &mut Vec<Ready>) {
        if self.are_any() {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            self.any.store(false, Ordering::SeqCst);
            ready.extend(keys.drain(..).map(|key| Ready { key, readable: false, writable: false }));
        }
    }
}

impl Source {
    /// It brings work without end, of which each loop is to have its part.
    fn is_client(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Door(_))
    }
}

/// Spreads keys, which nobody else chooses: they needn't be kept from colliding.
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
        // An odd number near the golden section of 2⁶⁴: its product changes in all bits.
        self.0 = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The lowest bits of a key, which say its loop.
const INDEX_BITS: u32 = 6;

/// As much is acted on before it is looked what else has become ready.
const AT_ONCE: usize = 32;
