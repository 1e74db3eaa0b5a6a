//! Handles in flight: sent to a peer that has not received them yet.
//!
//! The kernel counts the handles in all socket queues for the user that sent them. Beyond
//! `RLIMIT_NOFILE` no process of that user can send any more (`ETOOMANYREFS`). A peer that never
//! receives would use up the limit of all others, even after its connection has ended. So this
//! process counts the handles that it sends to each peer until the kernel reports an empty socket
//! queue. It keeps the socket open until then, because the kernel reports nothing about a closed
//! one.
//!
//! A peer has one limit in the whole process, even if it is a client, serves an object and has many
//! sockets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use syshandle_os::{Closer, HANDLES_PER_MESSAGE_MAX, PerProcess};

use crate::quota::holder::QuotaHolder;

/// A socket over which handles are sent, and which may be kept open after its last use.
pub(crate) trait SentQueue: Send + Sync + std::fmt::Debug {
    /// Asks the kernel whether the peer has messages to receive.
    fn has_unreceived(&self) -> bool;

    /// Returns whether handles were in flight over this socket at the last query.
    fn has_handles_in_flight(&self) -> bool;

    /// Returns the peer's counter of handles in flight.
    fn in_flight(&self) -> &InFlight;
}

/// Number of handles that are in flight to one peer, over all sockets.
#[derive(Debug)]
pub(crate) struct InFlight {
    max: usize,
    handles: AtomicUsize,
    /// Number of sockets that are kept open although this process no longer uses them.
    kept_sockets: AtomicUsize,
    /// Sockets over which handles were sent.
    sockets: Mutex<KnownSockets>,
}

#[derive(Debug, Default)]
struct KnownSockets {
    all: Vec<Weak<dyn SentQueue>>,
    last_look: Option<Instant>,
}

impl InFlight {
    /// Returns the counter of a peer, which all its connections share.
    pub(crate) fn to(peer: QuotaHolder, eighths: usize) -> Arc<Self> {
        let mut peers = lock(&table().peers);
        if let Some(in_flight) = peers.get(&peer).and_then(Weak::upgrade) {
            return in_flight;
        }
        // When the map is full, counters that no connection uses any more are removed.
        if peers.len() == peers.capacity() {
            peers.retain(|_, in_flight| in_flight.strong_count() > 0);
        }
        let in_flight = Arc::new(Self::new(limit(eighths)));
        peers.insert(peer, Arc::downgrade(&in_flight));
        in_flight
    }

    /// Creates a counter that no other peer shares.
    pub(crate) fn new(max: usize) -> Self {
        let (handles, kept_sockets) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { max, handles, kept_sockets, sockets: Mutex::default() }
    }

    /// Counts handles that are about to be sent. Returns `false` if too many are in flight.
    pub(crate) fn take(&self, handles: usize) -> bool {
        let more = |taken: usize| taken.checked_add(handles).filter(|sum| *sum <= self.max);
        self.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Subtracts handles that were received or could not be sent.
    pub(crate) fn give_back(&self, handles: usize) {
        self.handles.fetch_sub(handles, Ordering::Relaxed);
    }

    /// Returns the number of sockets that are kept open although this process no longer uses them.
    pub(crate) fn kept_sockets(&self) -> usize {
        self.kept_sockets.load(Ordering::Relaxed)
    }

    /// Adds a socket over which handles are sent.
    pub(crate) fn add(&self, socket: Weak<dyn SentQueue>) {
        let mut sockets = lock(&self.sockets);
        if sockets.all.len() == sockets.all.capacity() {
            sockets.all.retain(|socket| socket.strong_count() > 0);
        }
        sockets.all.push(socket);
    }

    /// Asks the kernel for each socket which messages the peer has received, unless the last query
    /// was less than [`LOOK_EACH`] ago.
    #[cold]
    pub(crate) fn look(&self) {
        let mut sockets = lock(&self.sockets);
        if !is_time(&mut sockets.last_look) {
            return;
        }
        let all: Vec<_> = sockets.all.iter().filter_map(Weak::upgrade).collect();
        drop(sockets);
        for socket in &all {
            socket.has_unreceived();
        }
    }
}

/// Returns the limit of one peer, which is `eighths` eighths of the limit for all peers. All peers
/// together may have half of `RLIMIT_NOFILE`, because the other processes of the user count in the
/// kernel's limit as well. One full message always fits.
fn limit(eighths: usize) -> usize {
    let all = syshandle_os::descriptor_limit().map_or(usize::MAX / 2, |limit| limit as usize / 2);
    (all / 8 * eighths).max(HANDLES_PER_MESSAGE_MAX)
}

/// Keeps open a socket that this process no longer uses, while its peer has messages to receive.
pub(crate) fn keep(socket: Arc<dyn SentQueue>) {
    socket.in_flight().kept_sockets.fetch_add(1, Ordering::Relaxed);
    let mut kept = lock(&table().kept);
    kept.sockets.push(socket);
    if !kept.has_thread && Closer::uses_threads() {
        // If no thread can be started, the next socket that is closed makes this check.
        let started = thread::Builder::new().name("in-flight".to_owned()).spawn(watch_kept);
        kept.has_thread = started.is_ok();
    }
}

/// Checks the kept sockets periodically until none is left.
fn watch_kept() {
    loop {
        thread::park_timeout(LOOK_EACH);
        look_at_kept();
        let mut kept = lock(&table().kept);
        if kept.sockets.is_empty() {
            kept.has_thread = false;
            return;
        }
    }
}

/// Closes the kept sockets whose peers have received everything or have gone. Returns the number of
/// remaining sockets with handles in flight; a server waits for these before it ends by itself.
/// Queries the kernel only if the last query was at least [`LOOK_EACH`] ago.
pub(crate) fn look_at_kept() -> usize {
    let with_handles = |sockets: &[Arc<dyn SentQueue>]| {
        sockets.iter().filter(|socket| socket.has_handles_in_flight()).count()
    };
    let mut kept = lock(&table().kept);
    if kept.sockets.is_empty() || !is_time(&mut kept.last_look) {
        return with_handles(&kept.sockets);
    }
    let sockets = std::mem::take(&mut kept.sockets).into_iter();
    let (unreceived, received) = sockets.partition::<Vec<_>, _>(|socket| socket.has_unreceived());
    let left = with_handles(&unreceived);
    kept.sockets = unreceived;
    drop(kept);
    for socket in received {
        socket.in_flight().kept_sockets.fetch_sub(1, Ordering::Relaxed);
    }
    left
}

/// The counters of all peers of this process, and the sockets that are kept open.
#[derive(Default)]
struct InFlightTable {
    peers: Mutex<HashMap<QuotaHolder, Weak<InFlight>>>,
    kept: Mutex<KeptSockets>,
}

#[derive(Default)]
struct KeptSockets {
    sockets: Vec<Arc<dyn SentQueue>>,
    last_look: Option<Instant>,
    /// Whether a thread checks these sockets.
    has_thread: bool,
}

/// Returns the table of this process. A forked copy has a table of its own, because it doesn't use
/// its parent's sockets.
fn table() -> &'static InFlightTable {
    static TABLE: PerProcess<InFlightTable> = PerProcess::new();
    static ONLY: LazyLock<InFlightTable> = LazyLock::new(InFlightTable::default);
    TABLE.get().unwrap_or_else(|| &ONLY)
}

/// Returns whether the last query was long enough ago, and if so records a new one.
fn is_time(last_look: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let is_time = last_look.is_none_or(|last| now >= last + LOOK_EACH);
    if is_time {
        *last_look = Some(now);
    }
    is_time
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Minimum interval between two queries to the kernel about all sockets of a peer.
pub(crate) const LOOK_EACH: Duration = Duration::from_millis(200);
