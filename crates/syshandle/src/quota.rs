//! Quotas: the part of a server that one client may use at once.
//!
//! A client is a user, except that each process of the server's own user is a client of its own.
//! Another user may use a quarter of everything, and a process of the server's own user five
//! eighths. One of each leave an eighth for others.

pub(crate) mod holder;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use syshandle_os::{Closer, Credentials, OwnedHandle, Peer, Seqpacket, UserId};

use holder::QuotaHolder;

use crate::in_flight::InFlight;
use crate::sync::atomic::AtomicUsize;

/// The quotas of all clients.
#[derive(Debug)]
pub(crate) struct Quotas {
    own_user: UserId,
    own_pid: u32,
    limits: QuotaLimits,
    quotas: Mutex<HashMap<QuotaHolder, Weak<Quota>>>,
}

/// The resources of a server, or the part of them that one client may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaLimits {
    /// Connections and doors.
    pub(crate) clients: usize,
    /// Running methods and other running user code.
    pub(crate) calls: usize,
    /// Asynchronous calls, whose methods run as tasks and take no thread.
    pub(crate) async_calls: usize,
    /// Calls that wait for running methods to end.
    pub(crate) waiting: usize,
    /// Descriptors of connections, doors, the objects of background tasks, and the arguments of
    /// running methods and of the tasks that they started.
    pub(crate) descriptors: usize,
    /// Background tasks.
    pub(crate) tasks: usize,
    /// Bytes of memory that the server holds for a client: unread replies, pages of shared memory,
    /// background tasks, and decoded arguments of running methods and of the tasks that they
    /// started.
    pub(crate) bytes: usize,
}

/// The quota of one client: limits and present use.
#[derive(Debug)]
pub(crate) struct Quota {
    max: QuotaLimits,
    clients: AtomicUsize,
    calls: AtomicUsize,
    async_calls: AtomicUsize,
    waiting: AtomicUsize,
    descriptors: AtomicUsize,
    /// Handles that were sent and not yet received.
    in_flight: Arc<InFlight>,
    /// Background tasks, waiting or running.
    tasks: AtomicUsize,
    bytes: AtomicUsize,
    /// Closes handles that the client sent. Until they are closed, they count as descriptors.
    closer: Closer,
    /// Closes the handles of replies and frames that a connection leaves when it ends. Until they
    /// are closed, they count as descriptors. They are no reason to refuse the client.
    abandoned: Closer,
}

/// An amount that was taken from a quota. Dropping the guard gives it back.
#[derive(Debug)]
pub(crate) struct QuotaGuard {
    quota: Arc<Quota>,
    resource: Resource,
    descriptors: usize,
}

/// A limited resource other than descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// A connection or a door.
    Connection,
    /// A running method, or other running user code.
    Call,
    /// A call whose method runs as a task.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "no method is asynchronous"))]
    AsyncCall,
    /// A call that waits for running methods to end.
    WaitingCall,
    /// A background task that takes this number of bytes.
    BackgroundTask(usize),
    /// Only descriptors, and no other resource. Used for frames that are not handled yet, and for
    /// return channels.
    Descriptors,
    /// A pending reply with this number of bytes.
    Reply(usize),
    /// This number of bytes of shared memory or decoded arguments.
    Memory(usize),
}

/// Memory that a kept handle counts in the quota of its sender.
pub(crate) const KEPT_HANDLE_BYTES: usize = 512;

impl Quotas {
    pub(crate) fn new(limits: QuotaLimits) -> Self {
        let (own_user, own_pid) = (UserId::current(), std::process::id());
        Self { own_user, own_pid, limits, quotas: Mutex::default() }
    }

    /// Returns the quota of a client.
    pub(crate) fn of(&self, client: Credentials) -> Arc<Quota> {
        self.of_process(client.uid, client.pid)
    }

    /// Returns the quotas of all connected clients.
    pub(crate) fn all(&self) -> Vec<(QuotaHolder, Arc<Quota>)> {
        let quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        quotas.iter().filter_map(|(holder, quota)| Some((*holder, quota.upgrade()?))).collect()
    }

    fn of_process(&self, uid: UserId, pid: u32) -> Arc<Quota> {
        let (holder, eighths) = QuotaHolder::of((self.own_user, self.own_pid), uid, pid);
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = quotas.get(&holder).and_then(Weak::upgrade) {
            return quota;
        }
        // If the map is full, the quotas of clients that have disconnected are removed.
        if quotas.len() == quotas.capacity() {
            quotas.retain(|_, quota| quota.strong_count() > 0);
        }
        let quota = Arc::new(Quota::new(self.limits.part(eighths), InFlight::to(holder, eighths)));
        quotas.insert(holder, Arc::downgrade(&quota));
        quota
    }
}

impl QuotaLimits {
    /// Limits that are never reached. The quota that a client keeps for its server has these.
    pub(crate) const UNLIMITED: Self = Self {
        clients: MAX,
        calls: MAX,
        async_calls: MAX,
        waiting: MAX,
        descriptors: MAX,
        tasks: MAX,
        bytes: MAX,
    };

    /// Returns the resources of a server, of which each client may use a part.
    pub(crate) fn of_server(clients: usize, calls: usize, descriptors: Option<u64>) -> Self {
        let memory = syshandle_os::memory_limit().map_or(u64::MAX, |limit| limit / MEMORY_PART);
        Self {
            clients,
            calls,
            async_calls: ASYNC_CALLS_MAX,
            waiting: calls.saturating_mul(WAITING_PER_METHOD),
            descriptors: descriptors.map_or(Self::UNLIMITED.descriptors, |limit| limit as usize),
            tasks: TASKS_MAX,
            bytes: usize::try_from(memory).unwrap_or(usize::MAX).min(MEMORY_MAX),
        }
    }

    fn part(self, eighths: usize) -> Self {
        // Rounds up. A limit that overflows the multiplication stays unlimited.
        let part = |whole: usize| match whole.checked_mul(eighths) {
            Some(eighths) => eighths.div_ceil(8),
            None => whole,
        };
        Self {
            clients: part(self.clients),
            calls: part(self.calls),
            async_calls: part(self.async_calls),
            waiting: part(self.waiting),
            descriptors: part(self.descriptors),
            tasks: part(self.tasks),
            bytes: part(self.bytes),
        }
    }
}

impl Quota {
    /// Returns the quota that a client keeps for the server at the other end of a socket. It limits
    /// the handles that wait to be closed, and the handles in flight to all connections of that
    /// server.
    pub(crate) fn of_server(socket: &Seqpacket) -> Arc<Self> {
        let (holder, eighths) = match socket.peer() {
            Ok(Credentials { uid, pid, .. }) => {
                QuotaHolder::of((UserId::current(), std::process::id()), uid, pid)
            }
            Err(_) => (QuotaHolder::Unknown, 2),
        };
        Arc::new(Self::new(QuotaLimits::UNLIMITED, InFlight::to(holder, eighths)))
    }

    /// Returns a quota for a server whose process the kernel doesn't report.
    pub(crate) fn of_a_server() -> Arc<Self> {
        Arc::new(Self::new(QuotaLimits::UNLIMITED, Arc::new(InFlight::new(MAX))))
    }

    fn new(max: QuotaLimits, in_flight: Arc<InFlight>) -> Self {
        let none = || AtomicUsize::new(0);
        Self {
            max,
            clients: none(),
            calls: none(),
            async_calls: none(),
            waiting: none(),
            descriptors: none(),
            in_flight,
            tasks: none(),
            bytes: none(),
            closer: Closer::new(),
            abandoned: Closer::new(),
        }
    }

    /// Takes one unit of a resource and a number of descriptors.
    ///
    /// # Errors
    /// Returns the name of the limit that the client has reached.
    pub(crate) fn take(
        self: &Arc<Self>,
        resource: Resource,
        descriptors: usize,
    ) -> Result<QuotaGuard, &'static str> {
        match resource {
            Resource::Connection if !add(&self.clients, 1, self.max.clients) => {
                return Err("connections and references of one client");
            }
            Resource::Call if !add(&self.calls, 1, self.max.calls) => {
                return Err("calls of one client");
            }
            Resource::AsyncCall if !add(&self.async_calls, 1, self.max.async_calls) => {
                return Err("asynchronous calls of one client");
            }
            Resource::WaitingCall if !add(&self.waiting, 1, self.waiting_max()) => {
                return Err("calls of one client that wait");
            }
            Resource::BackgroundTask(_) if !add(&self.tasks, 1, self.max.tasks) => {
                return Err("background tasks of one client");
            }
            Resource::BackgroundTask(bytes) if !add(&self.bytes, bytes, self.max.bytes) => {
                self.tasks.fetch_sub(1, Ordering::Relaxed);
                return Err(MEMORY);
            }
            Resource::Reply(bytes) if !add(&self.bytes, bytes, self.max.bytes) => {
                return Err("replies that one client doesn't read");
            }
            Resource::Memory(bytes) if !add(&self.bytes, bytes, self.max.bytes) => {
                return Err(MEMORY);
            }
            _ => {}
        }
        // From here on, dropping the guard gives the amount back.
        let mut guard = QuotaGuard { quota: self.clone(), resource, descriptors: 0 };
        if descriptors > 0 {
            if !add(&self.descriptors, descriptors, self.max_descriptors()) {
                return Err("descriptors of one client");
            }
            guard.descriptors = descriptors;
        }
        Ok(guard)
    }

    /// Returns the limits. A limit of [`MAX`] or more is never reached.
    pub(crate) fn limits(&self) -> QuotaLimits {
        QuotaLimits { descriptors: self.max_descriptors(), ..self.max }
    }

    /// Returns the used amount of each resource.
    pub(crate) fn used(&self) -> QuotaLimits {
        let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        QuotaLimits {
            clients: read(&self.clients),
            calls: read(&self.calls),
            async_calls: read(&self.async_calls),
            waiting: read(&self.waiting),
            descriptors: read(&self.descriptors),
            tasks: read(&self.tasks),
            bytes: read(&self.bytes),
        }
    }

    /// Returns whether one more method of the client may run.
    pub(crate) fn may_run(&self) -> bool {
        self.calls.load(Ordering::Relaxed) < self.max.calls
    }

    /// Returns the current limit of waiting calls. A call also counts as waiting while a thread
    /// starts for it. Therefore the limit includes the number of methods that could run in
    /// addition.
    fn waiting_max(&self) -> usize {
        let running = self.calls.load(Ordering::Relaxed);
        self.max.waiting + self.max.calls.saturating_sub(running)
    }

    /// Returns the number of descriptors that the client may still take.
    pub(crate) fn free_descriptors(&self) -> usize {
        self.max_descriptors().saturating_sub(self.descriptors.load(Ordering::Relaxed))
    }

    /// Returns the current limit of descriptors. Subtracts the descriptors that wait to be closed,
    /// and the sockets that are kept until the client has received its handles.
    fn max_descriptors(&self) -> usize {
        let unclosed = self.closer.pending() + self.abandoned.pending();
        let waiting = unclosed + self.in_flight.kept_sockets();
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

    /// Closes a handle that a connection of the client leaves, in the background.
    pub(crate) fn close_abandoned(&self, handle: OwnedHandle) {
        self.abandoned.close(handle);
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

impl QuotaGuard {
    /// Increases the amount of memory to `to` bytes, if it is lower.
    ///
    /// # Errors
    /// Returns the name of the limit.
    pub(crate) fn grow_memory(&mut self, to: usize) -> Result<(), &'static str> {
        let Resource::Memory(bytes) = &mut self.resource else { return Ok(()) };
        if let Some(more) = to.checked_sub(*bytes) {
            if !add(&self.quota.bytes, more, self.quota.max.bytes) {
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
        match self.resource {
            Resource::Memory(bytes) => self.grow_memory(bytes.saturating_add(more)),
            _ => Ok(()),
        }
    }

    /// Decreases the amount of memory to `to` bytes, if it is higher.
    pub(crate) fn shrink_memory(&mut self, to: usize) {
        let Resource::Memory(bytes) = &mut self.resource else { return };
        if let Some(less) = bytes.checked_sub(to) {
            self.quota.bytes.fetch_sub(less, Ordering::Relaxed);
            *bytes = to;
        }
    }

    /// Gives this number of descriptors back to the quota, before the guard is dropped.
    pub(crate) fn give_back(&mut self, descriptors: usize) {
        let descriptors = descriptors.min(self.descriptors);
        self.descriptors -= descriptors;
        self.quota.descriptors.fetch_sub(descriptors, Ordering::Relaxed);
    }

    /// Moves the descriptors to a guard of their own, if there are any.
    pub(crate) fn split_descriptors(&mut self) -> Option<Self> {
        let descriptors = std::mem::take(&mut self.descriptors);
        let resource = Resource::Descriptors;
        (descriptors > 0).then(|| Self { quota: self.quota.clone(), resource, descriptors })
    }

    /// Converts a waiting call to a running one. Returns `false` if the client has too many running
    /// methods.
    pub(crate) fn start(&mut self) -> bool {
        if self.resource == Resource::WaitingCall && add(&self.quota.calls, 1, self.quota.max.calls)
        {
            self.quota.waiting.fetch_sub(1, Ordering::Relaxed);
            self.resource = Resource::Call;
        }
        self.resource == Resource::Call
    }

    /// Converts a running method to an asynchronous call.
    ///
    /// # Errors
    /// Returns the name of the limit.
    #[cfg(feature = "tokio")]
    pub(crate) fn become_async(&mut self) -> Result<(), &'static str> {
        let mut call = self.quota.take(Resource::AsyncCall, 0)?;
        // The descriptors of the arguments stay counted.
        std::mem::swap(&mut self.resource, &mut call.resource);
        Ok(())
    }

    /// Gives descriptors back to the quota, and keeps this number of them.
    pub(crate) fn keep(&mut self, descriptors: usize) {
        self.give_back(self.descriptors.saturating_sub(descriptors));
    }
}

impl Drop for QuotaGuard {
    fn drop(&mut self) {
        let Self { quota, resource, descriptors } = self;
        if *descriptors > 0 {
            quota.descriptors.fetch_sub(*descriptors, Ordering::Relaxed);
        }
        match resource {
            Resource::Connection => drop(quota.clients.fetch_sub(1, Ordering::Relaxed)),
            Resource::Call => drop(quota.calls.fetch_sub(1, Ordering::Relaxed)),
            Resource::AsyncCall => drop(quota.async_calls.fetch_sub(1, Ordering::Relaxed)),
            Resource::WaitingCall => drop(quota.waiting.fetch_sub(1, Ordering::Relaxed)),
            Resource::Reply(bytes) | Resource::Memory(bytes) => {
                quota.bytes.fetch_sub(*bytes, Ordering::Relaxed);
            }
            Resource::BackgroundTask(bytes) => {
                quota.tasks.fetch_sub(1, Ordering::Relaxed);
                quota.bytes.fetch_sub(*bytes, Ordering::Relaxed);
            }
            Resource::Descriptors => {}
        }
    }
}

/// The name of the limit [`QuotaLimits::bytes`] in error messages.
const MEMORY: &str = "memory for one client";

/// Limit of handles of one client that wait to be closed. Two full messages fit, so that closes
/// that are only slow don't cause errors. The limit is small compared with the descriptors that a
/// process may have open.
const UNCLOSED_MAX: usize = 512;

/// A limit that is never reached. The sum of two such limits does not overflow.
pub(crate) const MAX: usize = usize::MAX / 2;

/// Adds `count` to a counter if the sum is at most `max`. The check and the addition are one atomic
/// step. So a refused amount is never visible to other threads and can't make their requests fail.
fn add(counter: &AtomicUsize, count: usize, max: usize) -> bool {
    let more = |taken: usize| taken.checked_add(count).filter(|sum| *sum <= max);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

/// Number of waiting calls for each running method. A call therefore waits for at most about this
/// many methods that run one after the other.
const WAITING_PER_METHOD: usize = 4;

/// Memory that counts for each object to which a client refers by a number: the entries of the
/// tables and the reference to the object. The memory of the object itself is the method's matter.
pub(crate) const OBJECT_BYTES: usize = 512;

/// Limit of the memory that the server holds for all clients together: unread replies, shared
/// memory and arguments of running methods.
const MEMORY_MAX: usize = 1024 * 1024 * 1024;

/// Divisor of the process's memory limit: all clients together may use a quarter of the memory.
const MEMORY_PART: u64 = 4;

/// Limit of the background tasks of all clients together. Most tasks that wait for an object reach
/// the limit of descriptors earlier.
const TASKS_MAX: usize = 128 * 1024;

/// Default limit of asynchronous calls. Each takes the memory of its future, but no thread.
pub(crate) const ASYNC_CALLS_MAX: usize = 16_384;
