//! Quotas: the part of a server that one client may use at once.
//!
//! A client is a user, except that each process of the server's own user is a client of its own.
//! Another user may use a quarter of everything, and a process of the server's own user five
//! eighths. One of each leave an eighth for others.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use syshandle_os::{Closer, Credentials, OwnedHandle, Peer, Seqpacket, UserId};

use crate::in_flight::InFlight;
use crate::sync::atomic::AtomicUsize;

/// The quotas of all clients.
#[derive(Debug)]
pub(crate) struct Shares {
    own_user: UserId,
    own_pid: u32,
    totals: Totals,
    taken: Mutex<HashMap<Who, Weak<Share>>>,
}

/// The resources of a server, or the part of them that one client may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    /// Connections and doors.
    pub(crate) clients: usize,
    /// Running methods and other running user code.
    pub(crate) calls: usize,
    /// Calls that wait for running methods to end.
    pub(crate) waiting: usize,
    /// Descriptors of connections, doors, background tasks and the arguments of running methods.
    pub(crate) descriptors: usize,
    /// Background tasks that wait for a timer, which take no descriptor.
    pub(crate) timers: usize,
    /// Bytes of memory that the server holds for a client: unread replies, pages of shared memory,
    /// and decoded arguments of running methods.
    pub(crate) bytes: usize,
}

/// The holder of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    User(u32),
    /// All users that are unknown in this user namespace, because the server can't distinguish
    /// them.
    Unknown,
    /// A process of the server's own user. All processes outside this pid namespace have the number
    /// 0, and therefore share one quota. If each of their connections had its own quota, they could
    /// get any number of quotas.
    Process(u32),
}

/// The quota of one client: limits and present use.
#[derive(Debug)]
pub(crate) struct Share {
    max: Totals,
    clients: AtomicUsize,
    calls: AtomicUsize,
    waiting: AtomicUsize,
    descriptors: AtomicUsize,
    /// Handles that were sent and not yet received.
    in_flight: Arc<InFlight>,
    timers: AtomicUsize,
    bytes: AtomicUsize,
    /// Closes handles that the client sent. Until they are closed, they count as descriptors.
    closer: Closer,
}

/// A quota guard: an amount taken from a quota, returned when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    share: Arc<Share>,
    what: Part,
    descriptors: usize,
}

/// A limited resource other than descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A connection or a door.
    Client,
    /// A running method, or other running user code.
    Call,
    /// A call that waits for running methods to end.
    Waiting,
    /// A background task that waits for an object, limited only by its descriptor.
    Job,
    /// Frames that are not handled yet, and return channels, limited only by their descriptors.
    Unhandled,
    /// A background task that waits for a timer.
    Timer,
    /// A pending reply with this number of bytes.
    Reply(usize),
    /// This number of bytes of shared memory or decoded arguments.
    Memory(usize),
}

impl Shares {
    pub(crate) fn new(totals: Totals) -> Self {
        let (own_user, own_pid) = (UserId::current(), std::process::id());
        Self { own_user, own_pid, totals, taken: Mutex::default() }
    }

    /// Returns the quota of a client.
    pub(crate) fn of(&self, client: Credentials) -> Arc<Share> {
        self.of_process(client.uid, client.pid)
    }

    fn of_process(&self, uid: UserId, pid: u32) -> Arc<Share> {
        let (who, part) = Who::of((self.own_user, self.own_pid), uid, pid);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = taken.get(&who).and_then(Weak::upgrade) {
            return share;
        }
        // Removes quotas of clients that are gone whenever the map would have to grow.
        if taken.len() == taken.capacity() {
            taken.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Share::new(self.totals.part(part), InFlight::to(who, part)));
        taken.insert(who, Arc::downgrade(&share));
        share
    }
}

impl Who {
    /// Returns the holder of the quota of a peer, and the peer's part of all resources in eighths.
    fn of((own_user, own_pid): (UserId, u32), uid: UserId, pid: u32) -> (Self, usize) {
        match uid == own_user {
            // This process itself may use everything. It serves an object to itself and others.
            true if pid == own_pid => (Self::Process(pid), 8),
            true => (Self::Process(pid), 5),
            false => (uid.number().map_or(Self::Unknown, Self::User), 2),
        }
    }
}

impl Totals {
    /// Totals without limits, as in the quota that a client keeps for a server.
    pub(crate) const UNLIMITED: Self =
        Self { clients: MAX, calls: MAX, waiting: MAX, descriptors: MAX, timers: MAX, bytes: MAX };

    fn part(self, eighths: usize) -> Self {
        // Rounds up. A limit too large to multiply stays unlimited.
        let part = |whole: usize| match whole.checked_mul(eighths) {
            Some(eighths) => eighths.div_ceil(8),
            None => whole,
        };
        Self {
            clients: part(self.clients),
            calls: part(self.calls),
            waiting: part(self.waiting),
            descriptors: part(self.descriptors),
            timers: part(self.timers),
            bytes: part(self.bytes),
        }
    }
}

impl Share {
    /// Returns the quota that a client keeps for the server at the other end of a socket. It limits
    /// the handles that wait to be closed, and the handles in flight to all connections of that
    /// server.
    pub(crate) fn of_server(socket: &Seqpacket) -> Arc<Self> {
        let (who, part) = match socket.peer() {
            Ok(Credentials { uid, pid, .. }) => {
                Who::of((UserId::current(), std::process::id()), uid, pid)
            }
            Err(_) => (Who::Unknown, 2),
        };
        Arc::new(Self::new(Totals::UNLIMITED, InFlight::to(who, part)))
    }

    /// Returns a quota for an unknown peer.
    pub(crate) fn of_a_server() -> Arc<Self> {
        Arc::new(Self::new(Totals::UNLIMITED, Arc::new(InFlight::new(MAX))))
    }

    /// Returns a quota that limits only handles in flight.
    #[cfg(test)]
    pub(crate) fn with_in_flight(max: usize) -> Arc<Self> {
        Arc::new(Self::new(Totals::UNLIMITED, Arc::new(InFlight::new(max))))
    }

    fn new(max: Totals, in_flight: Arc<InFlight>) -> Self {
        let none = || AtomicUsize::new(0);
        Self {
            max,
            clients: none(),
            calls: none(),
            waiting: none(),
            descriptors: none(),
            in_flight,
            timers: none(),
            bytes: none(),
            closer: Closer::new(),
        }
    }

    /// Takes one unit of a resource and a number of descriptors.
    ///
    /// # Errors
    /// Returns the name of the limit that the client has reached.
    pub(crate) fn take(
        self: &Arc<Self>,
        what: Part,
        descriptors: usize,
    ) -> Result<Taken, &'static str> {
        match what {
            Part::Client if !add(&self.clients, 1, self.max.clients) => {
                return Err("connections and references of one client");
            }
            Part::Call if !add(&self.calls, 1, self.max.calls) => {
                return Err("calls of one client");
            }
            Part::Waiting if !add(&self.waiting, 1, self.waiting_max()) => {
                return Err("calls of one client that wait");
            }
            Part::Timer if !add(&self.timers, 1, self.max.timers) => {
                return Err("jobs of one client that wait for their time");
            }
            Part::Reply(bytes) if !add(&self.bytes, bytes, self.max.bytes) => {
                return Err("replies that one client doesn't read");
            }
            Part::Memory(bytes) if !add(&self.bytes, bytes, self.max.bytes) => {
                return Err(MEMORY);
            }
            _ => {}
        }
        // From here on, dropping the guard returns the amount.
        let mut taken = Taken { share: self.clone(), what, descriptors: 0 };
        if descriptors > 0 {
            if !add(&self.descriptors, descriptors, self.max_descriptors()) {
                return Err("descriptors of one client");
            }
            taken.descriptors = descriptors;
        }
        Ok(taken)
    }

    /// Returns whether one more method of the client may run.
    pub(super) fn may_run(&self) -> bool {
        self.calls.load(Ordering::Relaxed) < self.max.calls
    }

    /// Returns the present limit of waiting calls. A call waits even while a thread starts for it,
    /// so the limit includes the methods that may run but don't run yet.
    fn waiting_max(&self) -> usize {
        let running = self.calls.load(Ordering::Relaxed);
        self.max.waiting + self.max.calls.saturating_sub(running)
    }

    /// Returns how many more descriptors the client may take now.
    pub(crate) fn free_descriptors(&self) -> usize {
        self.max_descriptors().saturating_sub(self.descriptors.load(Ordering::Relaxed))
    }

    /// Returns the present limit of descriptors. Subtracts the descriptors that wait to be closed,
    /// and the sockets that are kept until the client has received its handles.
    fn max_descriptors(&self) -> usize {
        let waiting = self.closer.pending() + self.in_flight.kept_sockets();
        self.max.descriptors.saturating_sub(waiting)
    }

    /// Returns the counter of handles in flight to the client.
    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Closes a handle that the client sent, in the background.
    pub(crate) fn close(&self, handle: OwnedHandle) {
        self.closer.close(handle);
    }

    /// Checks that the client may connect and send handles.
    ///
    /// # Errors
    /// Returns the name of the limit if too many earlier handles wait to be closed.
    pub(crate) fn may_send_handles(&self) -> Result<(), &'static str> {
        match self.closer.pending() < UNCLOSED_MAX {
            true => Ok(()),
            false => Err("handles that wait to be closed"),
        }
    }
}

impl Taken {
    /// Takes more memory, up to a total of `to` bytes.
    ///
    /// # Errors
    /// Returns the name of the limit.
    pub(crate) fn grow_memory(&mut self, to: usize) -> Result<(), &'static str> {
        if let Part::Memory(bytes) = &mut self.what
            && let Some(more) = to.checked_sub(*bytes)
        {
            if !add(&self.share.bytes, more, self.share.max.bytes) {
                return Err(MEMORY);
            }
            *bytes = to;
        }
        Ok(())
    }

    /// Takes `more` bytes of memory.
    ///
    /// # Errors
    /// Returns the name of the limit.
    pub(crate) fn add_memory(&mut self, more: usize) -> Result<(), &'static str> {
        match self.what {
            Part::Memory(bytes) => self.grow_memory(bytes.saturating_add(more)),
            _ => Ok(()),
        }
    }

    /// Returns memory, down to a total of `to` bytes.
    pub(crate) fn shrink_memory(&mut self, to: usize) {
        if let Part::Memory(bytes) = &mut self.what
            && let Some(less) = bytes.checked_sub(to)
        {
            self.share.bytes.fetch_sub(less, Ordering::Relaxed);
            *bytes = to;
        }
    }

    /// Returns descriptors early.
    pub(crate) fn give_back(&mut self, descriptors: usize) {
        let descriptors = descriptors.min(self.descriptors);
        self.descriptors -= descriptors;
        self.share.descriptors.fetch_sub(descriptors, Ordering::Relaxed);
    }

    /// Converts a waiting call to a running one. Returns `false` if the client has too many running
    /// methods.
    pub(crate) fn start(&mut self) -> bool {
        if self.what == Part::Waiting && add(&self.share.calls, 1, self.share.max.calls) {
            self.share.waiting.fetch_sub(1, Ordering::Relaxed);
            self.what = Part::Call;
        }
        self.what == Part::Call
    }

    /// Returns all but `descriptors` descriptors.
    pub(crate) fn keep(&mut self, descriptors: usize) {
        self.give_back(self.descriptors.saturating_sub(descriptors));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Self { share, what, descriptors } = self;
        if *descriptors > 0 {
            share.descriptors.fetch_sub(*descriptors, Ordering::Relaxed);
        }
        match what {
            Part::Client => drop(share.clients.fetch_sub(1, Ordering::Relaxed)),
            Part::Call => drop(share.calls.fetch_sub(1, Ordering::Relaxed)),
            Part::Waiting => drop(share.waiting.fetch_sub(1, Ordering::Relaxed)),
            Part::Timer => drop(share.timers.fetch_sub(1, Ordering::Relaxed)),
            Part::Reply(bytes) | Part::Memory(bytes) => {
                share.bytes.fetch_sub(*bytes, Ordering::Relaxed);
            }
            Part::Job | Part::Unhandled => {}
        }
    }
}

/// The name of the limit of [`Totals::bytes`].
const MEMORY: &str = "memory for one client";

/// Limit of handles of one client that wait to be closed. Two full messages fit, so that closes
/// that are only slow don't cause errors. The limit is small compared with the descriptors that a
/// process may have open.
const UNCLOSED_MAX: usize = 512;

/// A limit larger than any real number. The sum of two such limits does not overflow.
const MAX: usize = usize::MAX / 2;

/// Adds `count` to a counter if the sum is at most `max`. An amount that does not fit is never
/// visible to other threads, so it can't make their requests fail.
fn add(counter: &AtomicUsize, count: usize, max: usize) -> bool {
    let more = |taken: usize| taken.checked_add(count).filter(|sum| *sum <= max);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::run_once;

    fn share(clients: usize, calls: usize, descriptors: usize) -> Arc<Share> {
        let totals = Totals { clients, calls, waiting: 1, descriptors, timers: 2, bytes: 100 };
        Arc::new(Share::new(totals, Arc::new(InFlight::new(1))))
    }

    #[test]
    fn a_dropped_guard_returns_its_quota() {
        run_once(|| {
            let share = share(2, 1, 10);
            let first = share.take(Part::Client, 1).unwrap();
            let _second = share.take(Part::Client, 1).unwrap();
            assert!(share.take(Part::Client, 1).is_err());
            drop(first);
            let _third = share.take(Part::Client, 1).unwrap();
            let call = share.take(Part::Call, 8).unwrap();
            assert_eq!(share.take(Part::Call, 0).unwrap_err(), "calls of one client");
            assert_eq!(share.take(Part::Job, 1).unwrap_err(), "descriptors of one client");
            drop(call);
            share.take(Part::Call, 8).unwrap();
            let reply = share.take(Part::Reply(60), 0).unwrap();
            share.take(Part::Reply(60), 0).unwrap_err();
            share.take(Part::Memory(60), 0).unwrap_err();
            share.take(Part::Reply(40), 0).unwrap();
            drop(reply);
            let mut memory = share.take(Part::Memory(10), 0).unwrap();
            memory.grow_memory(100).unwrap();
            assert_eq!(memory.grow_memory(101), Err(MEMORY));
            share.take(Part::Memory(1), 0).unwrap_err();
            memory.shrink_memory(40);
            share.take(Part::Memory(60), 0).unwrap();
            drop(memory);
            share.take(Part::Memory(100), 0).unwrap();
            let timers = [(); 2].map(|()| share.take(Part::Timer, 0).unwrap());
            share.take(Part::Timer, 0).unwrap_err();
            drop(timers);
            share.take(Part::Timer, 0).unwrap();
        });
    }

    #[test]
    fn a_call_that_waits_starts_when_another_one_has_ended() {
        run_once(|| {
            let share = share(1, 1, 10);
            let running = share.take(Part::Call, 1).unwrap();
            let mut waiting = share.take(Part::Waiting, 8).unwrap();
            let error = share.take(Part::Waiting, 0).unwrap_err();
            assert_eq!(error, "calls of one client that wait");
            assert!(!share.may_run() && !waiting.start());
            drop(running);
            assert!(share.may_run() && waiting.start());
            share.take(Part::Call, 0).unwrap_err();
            let _next = share.take(Part::Waiting, 2).unwrap();
            drop(waiting);
            share.take(Part::Call, 8).unwrap();
        });
    }

    #[test]
    fn a_refused_request_takes_no_quota() {
        run_once(|| {
            let share = share(1, 1, 1);
            for _ in 0..10 {
                share.take(Part::Client, 2).unwrap_err();
                share.take(Part::Call, 2).unwrap_err();
            }
            let _client = share.take(Part::Client, 1).unwrap();
            let _call = share.take(Part::Call, 0).unwrap();
        });
    }

    #[test]
    fn a_process_of_ones_own_has_five_eighths_and_another_user_a_quarter() {
        let totals = Totals { clients: 16, calls: 2, ..Totals::UNLIMITED };
        let shares = Shares::new(totals);
        let user = UserId::from_kernel;
        let own = UserId::current();
        let process = shares.of_process(own, 7);
        assert_eq!(process.max.clients, 10);
        assert_eq!(process.max.calls, 2, "rounded up");
        assert_eq!(process.max.descriptors, MAX);
        assert!(Arc::ptr_eq(&process, &shares.of_process(own, 7)));
        assert!(!Arc::ptr_eq(&process, &shares.of_process(own, 8)));
        let stranger = shares.of_process(user(own.shown() + 1), 7);
        assert_eq!(stranger.max.clients, 4);
        assert!(
            Arc::ptr_eq(&stranger, &shares.of_process(user(own.shown() + 1), 8)),
            "it is one user"
        );
        let unknown = shares.of_process(user(u32::MAX), 7);
        assert_eq!(unknown.max.clients, 4);
        assert!(Arc::ptr_eq(&unknown, &shares.of_process(user(u32::MAX), 8)), "all have one quota");
        assert!(!Arc::ptr_eq(&unknown, &stranger));
    }

    #[test]
    fn a_process_of_ones_own_and_another_user_together_leave_a_part_of_everything_to_others() {
        let totals = crate::server::totals(1024, 256, Some(1024));
        let shares = Shares::new(totals);
        let own = UserId::current();
        let process = shares.of_process(own, 7).max;
        let user = shares.of_process(UserId::from_kernel(own.shown() + 1), 7).max;
        let left = |of: fn(&Totals) -> usize| of(&totals) - of(&process) - of(&user);
        assert_eq!(left(|totals| totals.descriptors), 128);
        assert_eq!(left(|totals| totals.clients), 128);
        assert_eq!(left(|totals| totals.calls), 32);
        assert_eq!(left(|totals| totals.waiting), 128);
        assert!(left(|totals| totals.timers) >= totals.timers / 8);
        assert!(left(|totals| totals.bytes) >= totals.bytes / 8 - 2, "rounded up");
    }

    #[test]
    fn processes_of_other_pid_namespaces_share_one_quota() {
        let shares = Shares::new(Totals { clients: 16, ..Totals::UNLIMITED });
        let [own, hidden] =
            [std::process::id(), 0].map(|pid| shares.of_process(UserId::current(), pid));
        assert_eq!((own.max.clients, hidden.max.clients), (16, 10));
        assert!(Arc::ptr_eq(&hidden, &shares.of_process(UserId::current(), 0)));
    }

    #[test]
    fn departed_clients_leave_no_quota_entries() {
        let shares = Shares::new(Totals::UNLIMITED);
        for pid in 0..10_000 {
            shares.of_process(UserId::current(), pid);
        }
        assert!(shares.taken.lock().unwrap().len() < 1_000);
    }
}
