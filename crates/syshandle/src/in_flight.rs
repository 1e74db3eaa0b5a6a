//! Handles that were sent to a peer and that the peer has not received yet.
//!
//! The kernel counts the handles in the queues of all sockets for the user that sent them, and past
//! `RLIMIT_NOFILE` no process of that user can send any more (`ETOOMANYREFS`). A peer that never
//! receives would use the limit up for all others, also after its connection has ended. So this
//! process counts the handles that it sends to each peer until the kernel says that the queue of the
//! socket is empty, and keeps the socket until then: of a closed socket the kernel no longer tells.
//!
//! A peer has one limit in the whole process, even if it is a client, serves an object and has many
//! sockets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use syshandle_os::{Closer, HANDLES_PER_MESSAGE_MAX, PerProcess};

use crate::peer_socket::SharedSocket;
use crate::server::shares::Who;

/// The handles that are in flight to one peer, over all sockets.
#[derive(Debug)]
pub(crate) struct InFlight {
    max: usize,
    handles: AtomicUsize,
    /// Sockets that are kept though this process is done with them.
    kept_sockets: AtomicUsize,
    /// Sockets over which handles were sent.
    sockets: Mutex<Sockets>,
}

#[derive(Debug, Default)]
struct Sockets {
    all: Vec<Weak<SharedSocket>>,
    last_look: Option<Instant>,
}

impl InFlight {
    /// Returns the count of a peer, which all its connections share.
    pub(crate) fn to(peer: Who, eighths: usize) -> Arc<Self> {
        let mut peers = lock(&table().peers);
        if let Some(in_flight) = peers.get(&peer).and_then(Weak::upgrade) {
            return in_flight;
        }
        // From time to time, so that peers that are gone don't add up.
        if peers.len() == peers.capacity() {
            peers.retain(|_, in_flight| in_flight.strong_count() > 0);
        }
        let in_flight = Arc::new(Self::new(limit(eighths)));
        peers.insert(peer, Arc::downgrade(&in_flight));
        in_flight
    }

    /// A count with a limit of its own.
    pub(crate) fn new(max: usize) -> Self {
        let (handles, kept_sockets) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { max, handles, kept_sockets, sockets: Mutex::default() }
    }

    /// Counts handles that are about to be sent; `false` if too many are in flight.
    pub(crate) fn take(&self, handles: usize) -> bool {
        let more = |taken: usize| taken.checked_add(handles).filter(|sum| *sum <= self.max);
        self.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Handles were received, or were not sent.
    pub(crate) fn give_back(&self, handles: usize) {
        self.handles.fetch_sub(handles, Ordering::Relaxed);
    }

    /// Returns the number of sockets that are kept though this process is done with them.
    pub(crate) fn kept_sockets(&self) -> usize {
        self.kept_sockets.load(Ordering::Relaxed)
    }

    /// Adds a socket over which handles are sent.
    pub(crate) fn add(&self, socket: &Arc<SharedSocket>) {
        let mut sockets = lock(&self.sockets);
        if sockets.all.len() == sockets.all.capacity() {
            sockets.all.retain(|socket| socket.strong_count() > 0);
        }
        sockets.all.push(Arc::downgrade(socket));
    }

    /// Asks the kernel what the peer has received over all sockets, unless it was asked a moment ago.
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

/// The limit of one peer, which may have a part of what all peers may. All peers together may have half of what the kernel allows the user, because
/// the other processes of the user count in the kernel's limit as well. One full message always fits.
fn limit(eighths: usize) -> usize {
    let all = syshandle_os::descriptor_limit().map_or(usize::MAX / 2, |limit| limit as usize / 2);
    (all / 8 * eighths).max(HANDLES_PER_MESSAGE_MAX)
}

/// Keeps a socket, which this process does not use any more, while its peer has messages to receive.
pub(crate) fn keep(socket: Arc<SharedSocket>) {
    socket.in_flight().kept_sockets.fetch_add(1, Ordering::Relaxed);
    let mut kept = lock(&table().kept);
    kept.sockets.push(socket);
    if !kept.has_thread && Closer::uses_threads() {
        // Without a thread, the next socket that is closed has them looked at.
        let started = thread::Builder::new().name("in-flight".to_owned()).spawn(watch_kept);
        kept.has_thread = started.is_ok();
    }
}

/// Looks at the kept sockets until there are none.
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

/// Closes the kept sockets whose peers have received everything, or are gone. Returns the number of
/// remaining sockets with handles in flight, for which a server waits before it ends by itself. Asks the kernel only if it was not asked a moment ago.
pub(crate) fn look_at_kept() -> usize {
    let with_handles = |sockets: &[Arc<SharedSocket>]| {
        sockets.iter().filter(|socket| socket.has_handles_in_flight()).count()
    };
    let mut kept = lock(&table().kept);
    if kept.sockets.is_empty() || !is_time(&mut kept.last_look) {
        return with_handles(&kept.sockets);
    }
    let received: Vec<_> = kept.sockets.extract_if(.., |socket| !socket.has_unreceived()).collect();
    let left = with_handles(&kept.sockets);
    drop(kept);
    for socket in received {
        socket.in_flight().kept_sockets.fetch_sub(1, Ordering::Relaxed);
    }
    left
}

/// The counts of this process.
#[derive(Default)]
struct Table {
    peers: Mutex<HashMap<Who, Weak<InFlight>>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sockets: Vec<Arc<SharedSocket>>,
    last_look: Option<Instant>,
    /// A thread looks at them.
    has_thread: bool,
}

/// The table of this process: a forked copy has none of its parent's sockets.
fn table() -> &'static Table {
    static TABLE: PerProcess<Table> = PerProcess::new();
    static ONLY: LazyLock<Table> = LazyLock::new(Table::default);
    TABLE.get().unwrap_or_else(|| &ONLY)
}

/// Whether the last look was long enough ago. Then the next one begins.
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

/// Pause between two looks at all sockets of a peer.
pub(crate) const LOOK_EACH: Duration = Duration::from_millis(200);
