//! Client side of a connection: calls of any number of threads and tasks over one socket.
//!
//! A call is begun and gets a waiter. Its result is fetched by that waiter: by a thread that waits
//! ([`ClientConnection::finish`]), or by a task that polls ([`ClientConnection::poll`]). Threads
//! receive for themselves and for all others. For tasks a driver calls
//! [`ClientConnection::dispatch`].

mod receiving;
mod streaming;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use syshandle_os::{Credentials, OwnedHandle, ProcessMark, SpawnedProcess};
use syshandle_types::Limits;
use syshandle_types::describe::Interface as Description;
use syshandle_wire::{Body, ClientEnd, CoreHint, FrameKind, Header};

use super::call_queue::{NewCall, OwnedCall, PIPELINED_MAX};
use super::calls::Calls;
use super::deadline::Deadline;
use super::differences::ConnectionDifferences;
use super::end_reason::{EndReason, PeerName};
use super::one_way::{OneWayCaller, OneWayFailure};
use super::receiver::Receiver;
use super::released_numbers::ReleaseQueue;
use super::reply::{EncodedReply, ReplyWait, Waiter, WaiterNumber};
use super::role::{ReceiverRole, Successor};
use super::server_process::ServerProcess;
use super::tasks::{Tasks, Watch};
use crate::link::{ArenaRange, Link};
use crate::peer_socket::PeerSocket;
use crate::slots::{SlotConnection, Slots};
use crate::spin::Spin;
use crate::sync::atomic::AtomicBool;
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard, now, wait_until};
use crate::untyped_stream::Streams;
use crate::{Error, ErrorKind, Result};

/// Connection whose handshake is complete.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    owner: ProcessMark,
    link: Arc<Link>,
    streams: Arc<Streams>,
    server: Credentials,
    peer_name: PeerName,
    limits: Limits,
    /// Hash of the server's description of the interface; 0 if the server does not describe it.
    description: u64,
    differences: ConnectionDifferences,
    /// Whether references to objects of the server are numbers.
    takes_objects: bool,
    takes_one_way_calls: bool,
    /// Whether messages may open streams.
    takes_streams: bool,
    /// The numbers of objects to give back.
    released: Arc<ReleaseQueue>,
    /// The registered handles; `None` if the server doesn't keep any.
    slots: Option<Arc<Slots>>,
    /// Whether the last wait for room to give numbers back was in vain.
    release_is_stuck: AtomicBool,
    receiver: Receiver,
    /// Spin statistics of waits for objects that the server signals.
    object_spin: Spin,
    state: Mutex<ConnectionState>,
}

#[derive(Debug)]
struct ConnectionState {
    calls: Calls,
    role: ReceiverRole<Waiting>,
    tasks: Tasks,
}

/// Locked state. Dropping it unlocks the state, and then wakes tasks.
struct StateGuard<'s> {
    state: MutexGuard<'s, ConnectionState>,
    /// Dropped after `state`.
    woken: WokenTasks,
    /// Dropped after `state`, which logs them.
    failed: Vec<OneWayFailure>,
}

/// Tasks that are woken on drop.
struct WokenTasks(Option<Box<[Waker]>>);

/// Sleeping thread.
#[derive(Clone, Debug)]
struct Waiting(Thread);

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl ConnectionState {
    /// Wakes the thread or the task of a waiter that has a result.
    fn wake(&mut self, waiter: WaiterNumber) {
        match self.role.sleeper(waiter) {
            Some(Waiting(thread)) => thread.unpark(),
            None => self.tasks.wake(waiter),
        }
    }

    /// Ends the connection. Wakes all threads and tasks.
    fn end_with(&mut self, reason: EndReason) {
        self.calls.end_with(reason);
        self.wake_streams();
        self.role.wake_all().for_each(|Waiting(thread)| thread.unpark());
        self.tasks.wake_all();
        self.tasks.call_drivers();
    }

    /// Sends the queued calls for which there is room.
    #[cold]
    fn send_queued(&mut self, link: &Link) {
        let ended = self.calls.send_queued(link);
        // A call that was sent may have kept numbers until now.
        self.calls.send_released(link);
        self.wake_streams();
        ended.into_iter().for_each(|waiter| self.wake(waiter));
    }

    /// Wakes the tasks and threads that wait for streams, once the connection is unlocked.
    #[inline]
    fn wake_streams(&mut self) {
        let woken = self.calls.streams().take_woken();
        self.tasks.wake_streams(woken);
    }

    /// Registers a task that waits, and lets the drivers dispatch if they would miss an event.
    fn wait_as_task(&mut self, waiter: WaiterNumber, waker: &Waker, required: Watch) {
        self.tasks.wait(waiter, waker);
        self.tasks.require(required);
        if self.role.needs_drivers() {
            self.tasks.call_drivers();
        }
    }

    /// Lets another one receive, if the role is free.
    #[inline]
    fn hand_over(&mut self) {
        match self.role.successor(self.tasks.any_waits()) {
            None => {}
            Some(Successor::Thread(Waiting(thread))) => thread.unpark(),
            Some(Successor::Drivers) => self.tasks.call_drivers(),
        }
    }
}

impl ClientConnection {
    /// Makes a connection after the server's greeting was received.
    pub(super) fn new(
        link: Link,
        (server, process): (Credentials, Option<OwnedHandle>),
        peer_name: PeerName,
        end: ClientEnd<Waiter>,
        description: u64,
    ) -> Self {
        let link = Arc::new(link);
        let streams = Streams::new(&link);
        let state = ConnectionState {
            calls: Calls::new(end, peer_name, streams.clone()),
            role: ReceiverRole::default(),
            tasks: Tasks::default(),
        };
        Self {
            owner: ProcessMark::current(),
            link,
            streams,
            server,
            peer_name,
            limits: state.calls.limits(),
            description,
            differences: ConnectionDifferences::default(),
            takes_objects: state.calls.takes_objects(),
            takes_one_way_calls: state.calls.takes_one_way_calls(),
            takes_streams: state.calls.takes_streams(),
            released: state.calls.released().clone(),
            slots: state.calls.slots().cloned(),
            release_is_stuck: AtomicBool::new(false),
            receiver: Receiver::new(ServerProcess::of(server, process)),
            object_spin: Spin::default(),
            state: Mutex::new(state),
        }
    }

    /// Watches the server process that this client has started.
    pub(crate) fn watch(&self, spawned: &SpawnedProcess) {
        self.receiver.watch(spawned);
    }

    /// Returns the server's credentials, as the kernel reports them.
    pub(crate) fn server(&self) -> Credentials {
        self.server
    }

    /// Returns the server's limits.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the hash of the server's description of the interface; 0 if the server does not describe
    /// it.
    pub(super) fn description(&self) -> u64 {
        self.description
    }

    /// Returns the differences that comparisons with objects of this connection have found.
    pub(super) fn differences(&self) -> &ConnectionDifferences {
        &self.differences
    }

    /// Returns what identifies the connection in encoders of its messages; 0 if references to objects
    /// are no numbers.
    #[inline]
    pub(super) fn receiver(&self) -> usize {
        if self.takes_objects { std::ptr::from_ref(self) as usize } else { 0 }
    }

    /// Returns the registered handles, if the server keeps any.
    #[inline]
    pub(super) fn slots(self: &Arc<Self>) -> Option<&Arc<Slots>> {
        let slots = self.slots.as_ref()?;
        slots.set_connection(|| Arc::<Self>::downgrade(self));
        Some(slots)
    }

    /// Returns whether numbers of objects or slots wait to be given back.
    #[inline]
    fn owes_releases(&self) -> bool {
        !self.released.is_empty() || self.slots.as_ref().is_some_and(|slots| slots.has_notes())
    }

    /// Makes a call, and waits for its result. If the server no longer has a registered handle of the
    /// call, makes the call again with that handle.
    #[inline]
    pub(super) fn call(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &mut Deadline<'_>,
    ) -> Result<EncodedReply> {
        let waiter = self.begin(call, deadline)?;
        let reply = self.finish(waiter, deadline)?;
        match call.plain {
            Some(plain) if reply.is_slot_gone() => {
                let waiter = self.begin(plain, deadline)?;
                self.finish(waiter, deadline)
            }
            _ => Ok(reply),
        }
    }

    /// Gives the numbers of objects and the slots back that are no longer used.
    ///
    /// If the socket has no room, the next frame gives them back. If no call waits, none may follow,
    /// so this waits a moment for room, unless the last such wait was in vain.
    pub(super) fn release_objects(&self) {
        let mut state = self.state();
        let is_last = state.calls.in_flight() == 0 && state.calls.queued() == 0;
        if state.calls.send_released(&self.link) {
            return self.release_is_stuck.store(false, Ordering::Relaxed);
        }
        let is_open = state.calls.ended().is_none();
        drop(state);
        if !is_last || !is_open || self.release_is_stuck.load(Ordering::Relaxed) {
            return;
        }
        let until = now() + RELEASE_WAIT;
        let waited = wait_until(until, |until| self.link.socket.wait_for_room(until));
        let has_room = waited.is_ok_and(|has_room| has_room);
        self.release_is_stuck.store(!has_room, Ordering::Relaxed);
        if has_room {
            self.state().calls.send_released(&self.link);
        }
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &PeerSocket {
        &self.link.socket
    }

    /// Returns the core on which the server sent its last frame.
    pub(super) fn peer_core(&self) -> CoreHint {
        self.link.peer()
    }

    /// Returns the spin statistics of waits for objects that the server signals.
    pub(super) fn object_spin(&self) -> &Spin {
        &self.object_spin
    }

    /// Returns the end of a wait that begins now: the deadline, or earlier the time of the next
    /// check of the server process.
    pub(super) fn next_check(&self, deadline: Instant) -> Instant {
        self.receiver.wait_end(deadline)
    }

    /// Returns whether the server process is known to have ended.
    pub(super) fn server_has_died(&self) -> bool {
        self.receiver.server_has_ended(&self.link)
    }

    /// Begins a call whose result is fetched by a thread that waits for it.
    #[inline]
    pub(super) fn begin(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        // A call with a reply always has a waiter.
        self.begin_as(call, deadline, None).map(Option::unwrap_or_default)
    }

    /// Begins a call whose result may be fetched late.
    pub(super) fn begin_later(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        self.begin_as(call, deadline, Some(deadline.instant)).map(Option::unwrap_or_default)
    }

    /// Makes a one-way call. Returns `None` if it was sent, and otherwise a waiter that gets an empty
    /// result when it is sent.
    #[inline]
    pub(super) fn begin_one_way(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
        fetched_by: Option<Instant>,
    ) -> Result<Option<WaiterNumber>> {
        self.begin_as(call, deadline, fetched_by)
    }

    /// Returns whether the server takes one-way calls.
    #[inline]
    pub(super) fn takes_one_way_calls(&self) -> bool {
        self.takes_one_way_calls
    }

    /// Adds a reference that makes one-way calls.
    #[cold]
    pub(super) fn add_one_way_caller(&self, interface: &'static Description) -> Arc<OneWayCaller> {
        self.state().calls.one_way().add(interface)
    }

    /// Returns whether one-way calls may not have ended.
    ///
    /// # Errors
    /// The reason why the connection has ended before all of them.
    pub(super) fn has_one_way_calls(&self) -> Result<bool> {
        self.state().calls.has_one_way_calls()
    }

    /// Begins a call that is sent together with others.
    pub(super) fn begin_pipelined(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        if !call.is_small() {
            return self.begin_later(call, deadline);
        }
        deadline.check()?;
        let call = OwnedCall::copy(call, deadline.instant)?;
        self.enqueue(call, Some(deadline.instant), PIPELINED_MAX)
    }

    /// Begins a call whose arguments were copied, and whose result may be fetched late.
    #[cfg(feature = "tokio")]
    pub(super) fn begin_owned(
        &self,
        call: OwnedCall,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        deadline.check()?;
        self.prepare_memory(call.len(), call.body.len())?;
        self.enqueue(call, Some(deadline.instant), 1)
    }

    #[inline]
    fn begin_as(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
        fetched_by: Option<Instant>,
    ) -> Result<Option<WaiterNumber>> {
        deadline.check()?;
        self.prepare_memory(call.len(), call.body.len())?;
        let mut state = self.state();
        if self.owes_releases() {
            state.calls.send_released(&self.link);
        }
        if state.calls.queued() > 0 {
            // Calls that were begun earlier are sent first.
            state.send_queued(&self.link);
        }
        let started = state.calls.start(call, deadline.left_ms(), fetched_by);
        drop(state);
        let Some((header, waiter)) = started else {
            let call = OwnedCall::copy(call, deadline.instant)?;
            return self.enqueue(call, fetched_by, 1).map(Some);
        };
        match self.link.send(&header, call.body, call.handles) {
            Ok(()) => {
                call.objects.are_sent();
                if call.objects.streams.is_some() {
                    self.streams.wake();
                }
                Ok(call.one_way.is_none().then_some(waiter.number))
            }
            Err(error) => self.unsent(call, deadline, &header, waiter, error).map(Some),
        }
    }

    /// Makes the shared memory for a body that does not fit into a frame with its table, which have
    /// `len` bytes together.
    #[inline]
    fn prepare_memory(&self, len: usize, body_len: usize) -> Result<()> {
        if len > Limits::INLINE_BYTES_MAX {
            let size = self.link.prepare_outgoing(body_len);
            self.state().calls.set_memory(size.map_err(crate::send_error::memory_error)?);
        }
        Ok(())
    }

    /// Appends a call to the queue, and sends the queue if it has at least `send_from` calls.
    #[cold]
    fn enqueue(
        &self,
        call: OwnedCall,
        fetched_by: Option<Instant>,
        send_from: usize,
    ) -> Result<WaiterNumber> {
        let mut state = self.state();
        let waiter = state.calls.enqueue(call, fetched_by)?;
        if state.calls.queued() >= send_from {
            state.send_queued(&self.link);
        }
        Ok(waiter)
    }

    #[cold]
    fn unsent(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
        header: &Header,
        waiter: Waiter,
        error: std::io::Error,
    ) -> Result<WaiterNumber> {
        let call = OwnedCall::copy(call, deadline.instant);
        let mut state = self.state();
        let queued = state.calls.requeue(header, error, waiter, call);
        if queued.is_err() {
            // The call slot is free now, and no frame reports that.
            state.send_queued(&self.link);
        }
        queued.map(|()| waiter.number)
    }

    /// Sends the calls that wait for others to be sent with them.
    pub(super) fn flush(&self) {
        let mut state = self.state();
        if state.calls.queued() > 0 {
            state.send_queued(&self.link);
        }
    }

    /// Waits for the result of a call.
    #[inline]
    pub(super) fn finish(
        &self,
        waiter: WaiterNumber,
        deadline: &mut Deadline<'_>,
    ) -> Result<EncodedReply> {
        let mut waiting = ReplyWait { waiter: Some(waiter), result: None };
        let waited = self.wait(deadline, &mut waiting, |calls, waiting| {
            if waiting.result.is_none() {
                waiting.result = calls.take_result(waiter);
            }
            waiting.result.is_some().then_some(())
        });
        match (waiting.result, waited) {
            (Some(result), _) => result,
            (None, Err(gave_up)) => self.give_up(waiter, gave_up),
            (None, Ok(())) => unreachable!("the wait ended without a result"),
        }
    }

    /// Returns the result of a call. Without a result, `context` is woken when there may be one.
    /// Nothing is received; that is the task of a driver.
    pub(super) fn poll(
        &self,
        waiter: WaiterNumber,
        deadline: &Deadline<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<EncodedReply>> {
        let mut state = self.state();
        if state.calls.queued() > 0 {
            state.send_queued(&self.link);
        }
        if let Some(result) = state.calls.take_result(waiter) {
            state.tasks.forget(waiter);
            return Poll::Ready(result);
        }
        if let Err(gave_up) = deadline.check() {
            drop(state);
            return Poll::Ready(self.give_up(waiter, gave_up));
        }
        let retry = state.calls.retry_after().map(|retry| now() + retry);
        let next = retry.map_or(deadline.instant, |retry| retry.min(deadline.instant));
        let watch = Watch { next: Some(next), room: state.calls.needs_room() };
        state.wait_as_task(waiter, context.waker(), watch);
        Poll::Pending
    }

    /// Returns whether a call has a result.
    pub(super) fn has_result(&self, waiter: WaiterNumber) -> bool {
        self.state().calls.has_result(waiter)
    }

    /// Cancels a call whose result is no longer wanted.
    pub(super) fn abandon(&self, waiter: WaiterNumber) {
        let unwanted = Error::detected(ErrorKind::Cancelled, "the call was cancelled");
        drop(self.give_up(waiter, unwanted));
    }

    /// Gives up a call for this reason. Returns its result if that came in the last moment.
    #[cold]
    fn give_up(&self, waiter: WaiterNumber, reason: Error) -> Result<EncodedReply> {
        let mut state = self.state();
        state.tasks.forget(waiter);
        let (result, cancel) = state.calls.give_up(waiter, reason);
        if state.calls.queued() > 0 {
            state.send_queued(&self.link);
        }
        // The streams of a call that was not sent have ended.
        state.wake_streams();
        drop(state);
        if let Some(header) = cancel {
            // If the socket has no room for the cancel, the server goes by the call's own deadline.
            let _ = self.link.send_header(&header);
        }
        result
    }

    /// Returns the bytes of a reply in the server's memory.
    pub(crate) fn range(&self, body: Body) -> (ArenaRange<'_>, usize) {
        self.link.range(body)
    }

    /// Releases the range of a reply in the server's memory.
    pub(crate) fn has_read(&self, body: Body) {
        self.state().calls.has_read(&self.link, body);
    }

    /// Returns the error of a wait beside this connection that the server's end has ended. Waits
    /// until `deadline` for the reason, which may still be in the socket.
    pub(super) fn end_error(&self, deadline: &mut Deadline<'_>) -> Error {
        let ended =
            self.wait(deadline, &mut ReplyWait::default(), |calls, _| calls.ended().cloned());
        ended.unwrap_or(EndReason::Deaf).to_error(self.peer_name, true).of_no_call()
    }

    /// Returns the reason why the connection has ended as an error.
    pub(super) fn check_open(&self) -> Result<()> {
        match self.state().calls.ended() {
            Some(ended) => Err(ended.to_error(self.peer_name, false)),
            None => Ok(()),
        }
    }

    /// Returns whether this process made the connection. It may be a forked copy.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.owner.is_current()
    }

    /// Returns whether the connection has ended.
    #[cfg(feature = "tokio")]
    pub(super) fn has_ended(&self) -> bool {
        self.state().calls.ended().is_some()
    }

    /// Registers a task that waits for the end of the connection.
    #[cfg(feature = "tokio")]
    pub(super) fn add_task(&self) -> WaiterNumber {
        self.state().calls.add_waiter(None).number
    }

    /// Forgets such a task.
    #[cfg(feature = "tokio")]
    pub(super) fn remove_task(&self, waiter: WaiterNumber) {
        self.state().tasks.forget(waiter);
    }

    /// Returns the error of a wait that the end of the connection has ended.
    #[cfg(feature = "tokio")]
    pub(super) fn poll_end(&self, waiter: WaiterNumber, context: &mut Context<'_>) -> Poll<Error> {
        let mut state = self.state();
        if let Some(ended) = state.calls.ended() {
            return Poll::Ready(ended.to_error(self.peer_name, true).of_no_call());
        }
        // Any later dispatch sets the time of the next one.
        let watch = Watch { next: Some(now() + crate::peer_socket::INTERVAL), room: false };
        state.wait_as_task(waiter, context.waker(), watch);
        Poll::Pending
    }

    /// Calls `with` with the tasks of this connection.
    pub(super) fn with_tasks<R>(&self, with: impl FnOnce(&mut Tasks) -> R) -> R {
        with(&mut self.state().tasks)
    }

    #[inline]
    fn state(&self) -> StateGuard<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        StateGuard { state, woken: WokenTasks(None), failed: Vec::new() }
    }
}

impl Deref for StateGuard<'_> {
    type Target = ConnectionState;

    #[inline]
    fn deref(&self) -> &ConnectionState {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut ConnectionState {
        &mut self.state
    }
}

impl Drop for StateGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.state.tasks.has_woken() {
            self.woken.0 = Some(self.state.tasks.take_woken());
        }
        if self.state.calls.has_unlogged() {
            self.failed = self.state.calls.one_way().take_unlogged();
        }
    }
}

impl Drop for WokenTasks {
    #[inline]
    fn drop(&mut self) {
        if let Some(woken) = self.0.take() {
            wake_all(woken);
        }
    }
}

#[cold]
fn wake_all(woken: Box<[Waker]>) {
    woken.into_iter().for_each(Waker::wake);
}

impl SlotConnection for ClientConnection {
    fn send_slot_notes(&self) {
        if self.owner.is_current() {
            self.release_objects();
        }
    }
}

/// Sends `Bye` if the server may still hold background work for this client, so that the work
/// continues. A forked copy of the process sends nothing. It does not take the lock either, because
/// a thread that exists only in the original may have held it at the fork.
impl Drop for ClientConnection {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            return;
        }
        let mut state = self.state();
        state.tasks.call_drivers();
        if state.calls.owes_bye() {
            drop(state);
            let bye = Header::new(FrameKind::Bye);
            let sent = self.link.send_last(&bye, &[]);
            if sent.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                let _ = self.link.send_by(&bye, &[], now() + BYE_WAIT);
            }
        }
    }
}

/// Longest wait for room when numbers of objects are given back. It is needed only while the server
/// does not receive.
const RELEASE_WAIT: Duration = Duration::from_millis(20);

/// Longest wait on drop until the socket has room for `Bye`. The wait is needed only if the system
/// refused a larger socket buffer.
const BYE_WAIT: Duration = Duration::from_millis(100);
