//! Client side of a connection: calls of any number of threads and tasks over one socket.
//!
//! A call is begun and gets a waiter. Its result is fetched by that waiter: by a thread that waits
//! ([`ClientConnection::finish`]), or by a task that polls ([`ClientConnection::poll`]). Threads
//! receive for themselves and for all others. For tasks a driver calls
//! [`ClientConnection::dispatch`].

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use syshandle_os::{
    Credentials, OwnedHandle, ProcessMark, SpawnedProcess, WaitOutcome, Waitable, try_take,
};
use syshandle_types::Limits;
use syshandle_wire::{Body, ClientEnd, FrameKind, Header};

use super::calls::{Calls, NewCall, PIPELINED_MAX};
use super::deadline::Deadline;
use super::drivers::Drivers;
use super::end_reason::{EndReason, LAST_WORDS, PeerName, failed};
use super::receiver::{ReceiveResult, Receiver};
use super::reply::{EncodedReply, ReplyWait, Waiter, WaiterNumber};
use super::role::{ReceiverRole, Successor};
use super::server_process::ServerProcess;
use crate::batch::Batch;
use crate::buffer::FrameBuffer;
use crate::client::cancel::Cancel;
use crate::link::{ArenaRange, Link};
use crate::peer_socket::{INTERVAL, PeerSocket};
use crate::received_handles::ReceivedHandles;
use crate::spin::Spin;
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, now, wait_until};
use crate::{Error, ErrorKind, Result};

/// Connection whose handshake is complete.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    owner: ProcessMark,
    link: Link,
    server: Credentials,
    peer_name: PeerName,
    limits: Limits,
    receiver: Receiver,
    /// Spin statistics of [`ClientConnection::wait_for`], which waits for objects that the server
    /// signals.
    spin_beside: Spin,
    state: Mutex<ConnectionState>,
}

#[derive(Debug)]
struct ConnectionState {
    calls: Calls,
    role: ReceiverRole<Waiting>,
    /// Tasks to wake when their waiter has a result.
    tasks: BTreeMap<WaiterNumber, Waker>,
    drivers: Drivers,
    /// The time of the drivers' next dispatch.
    armed: Option<Instant>,
    /// Tasks to wake once the lock is free, because a waker may run any code.
    woken: Vec<Waker>,
}

/// Locked state. Dropping it wakes tasks.
struct StateGuard<'s>(Option<MutexGuard<'s, ConnectionState>>);

/// Sleeping thread.
#[derive(Clone, Debug)]
struct Waiting(Thread);

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

/// The outcome of a [`ClientConnection::dispatch`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatched {
    /// Whether no frame was left. Otherwise the driver dispatches again.
    pub(super) is_empty: bool,
    /// The time of the next dispatch, if the socket isn't readable earlier.
    pub(super) next: Option<Instant>,
}

impl ConnectionState {
    /// Wakes the thread or the task of a waiter that has a result.
    fn wake(&mut self, waiter: WaiterNumber) {
        if let Some(Waiting(thread)) = self.role.sleeper(waiter) {
            thread.unpark();
        } else if let Some(task) = self.tasks.remove(&waiter) {
            self.woken.push(task);
        }
    }

    /// Wakes all threads and tasks, after the connection has ended.
    fn wake_all(&mut self) {
        self.role.wake_all().for_each(|Waiting(thread)| thread.unpark());
        self.wake_tasks();
        self.call_drivers();
    }

    fn wake_tasks(&mut self) {
        self.woken.extend(std::mem::take(&mut self.tasks).into_values());
    }

    /// Lets the drivers dispatch.
    fn call_drivers(&mut self) {
        self.woken.extend(self.drivers.call());
    }

    /// Sends the queued calls for which there is room.
    #[cold]
    fn send_queued(&mut self, link: &Link) {
        let ended = self.calls.send_queued(link);
        ended.into_iter().for_each(|waiter| self.wake(waiter));
    }

    /// Lets another one receive, if the role is free.
    #[inline]
    fn hand_over(&mut self) {
        match self.role.successor(!self.tasks.is_empty()) {
            None => {}
            Some(Successor::Thread(Waiting(thread))) => thread.unpark(),
            Some(Successor::Drivers) => self.call_drivers(),
        }
    }
}

impl ClientConnection {
    /// Makes a connection after the server's greeting was received.
    pub(super) fn new(
        link: Link,
        server: Credentials,
        process: Option<OwnedHandle>,
        peer_name: PeerName,
        end: ClientEnd<Waiter>,
    ) -> Self {
        let state = ConnectionState {
            role: ReceiverRole::default(),
            tasks: BTreeMap::new(),
            drivers: Drivers::default(),
            armed: None,
            woken: Vec::new(),
            calls: Calls::new(end, peer_name),
        };
        Self {
            owner: ProcessMark::current(),
            link,
            server,
            peer_name,
            limits: state.calls.limits(),
            receiver: Receiver::new(ServerProcess::of(server, process)),
            spin_beside: Spin::default(),
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

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &PeerSocket {
        &self.link.socket
    }

    /// Begins a call whose result is fetched by a thread that waits for it.
    #[inline]
    pub(super) fn begin(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        self.begin_as(call, deadline, None)
    }

    /// Begins a call whose result may be fetched late.
    pub(super) fn begin_later(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        self.begin_as(call, deadline, Some(deadline.instant))
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
        let mut state = self.state();
        let waiter = state.calls.add_waiter(Some(deadline.instant));
        state.calls.enqueue(call.queued(waiter, deadline.instant)?)?;
        if state.calls.queued() >= PIPELINED_MAX {
            state.send_queued(&self.link);
        }
        Ok(waiter.number)
    }

    #[inline]
    fn begin_as(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
        fetched_by: Option<Instant>,
    ) -> Result<WaiterNumber> {
        deadline.check()?;
        if call.body.len() > Limits::INLINE_BYTES_MAX {
            let size = self.link.prepare_outgoing(call.body.len());
            self.state().calls.set_memory(size.map_err(crate::send_error::memory_error)?);
        }
        let mut state = self.state();
        if state.calls.queued() > 0 {
            // Calls that were begun earlier are sent first.
            state.send_queued(&self.link);
        }
        let started = state.calls.start(call, deadline.left_ms(), fetched_by);
        drop(state);
        match started {
            Some((header, waiter)) => match self.link.send(&header, call.body, call.handles) {
                Ok(()) => Ok(waiter.number),
                Err(error) => self.unsent(call, deadline, &header, waiter, error),
            },
            None => self.enqueue(call, deadline, fetched_by),
        }
    }

    #[cold]
    fn enqueue(
        &self,
        call: &NewCall<'_, '_>,
        deadline: &Deadline<'_>,
        fetched_by: Option<Instant>,
    ) -> Result<WaiterNumber> {
        let mut state = self.state();
        let waiter = state.calls.add_waiter(fetched_by);
        state.calls.enqueue(call.queued(waiter, deadline.instant)?)?;
        state.send_queued(&self.link);
        state.calls.ask_for_memory(&self.link);
        Ok(waiter.number)
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
        let queued = call.queued(waiter, deadline.instant);
        let mut state = self.state();
        let waits = state.calls.unsent(header, error);
        let result = waits.and_then(|obstacle| {
            state.calls.put_back(queued?, obstacle);
            Ok(waiter.number)
        });
        if result.is_err() {
            // The call slot is free now, and no frame reports that.
            state.send_queued(&self.link);
        }
        result
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
            state.tasks.remove(&waiter);
            return Poll::Ready(result);
        }
        if let Err(gave_up) = deadline.check() {
            drop(state);
            return Poll::Ready(self.give_up(waiter, gave_up));
        }
        state.tasks.insert(waiter, context.waker().clone());
        // The drivers must look at the socket, or wait less long.
        let retry = state.calls.retry_after().map(|retry| now() + retry);
        let next = retry.map_or(deadline.instant, |retry| retry.min(deadline.instant));
        let is_late = state.armed.is_none_or(|armed| armed > next);
        if is_late || state.role.needs_drivers() {
            state.call_drivers();
        }
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
        state.tasks.remove(&waiter);
        let (result, cancel) = state.calls.give_up(waiter, reason);
        if state.calls.queued() > 0 {
            state.send_queued(&self.link);
        }
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

    /// Waits for an object that the server signals. Ends as soon as the server has ended.
    pub(super) fn wait_for(
        &self,
        object: &dyn Waitable,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        let mut spin_wait = self.spin_beside.start(self.link.peer());
        while spin_wait.again() {
            if try_take(object).map_err(failed)? {
                spin_wait.hit();
                return Ok(());
            }
        }
        let cancel = deadline.cancel.map(Cancel::event);
        let waited = loop {
            let until = self.receiver.wait_end(deadline.instant);
            let waited =
                wait_until(until, |until| self.link.socket.wait_beside(object, cancel, until));
            match waited.map_err(failed)? {
                WaitOutcome::TimedOut if self.receiver.server_has_ended(&self.link) => {
                    // The server may have signalled the object before it ended.
                    if try_take(object).map_err(failed)? {
                        return Ok(());
                    }
                    break WaitOutcome::PeerGone;
                }
                WaitOutcome::TimedOut if now() < deadline.instant => {}
                waited => break waited,
            }
        };
        match waited {
            WaitOutcome::Taken => Ok(()),
            WaitOutcome::TimedOut => Err(wait_timed_out()),
            WaitOutcome::Cancelled => Err(wait_cancelled()),
            WaitOutcome::PeerGone => {
                // The reason may still be in the socket.
                deadline.look();
                let mut moment = Deadline::lasting(deadline.left().min(LAST_WORDS), None);
                let ended = self.wait(&mut moment, &mut ReplyWait::default(), |calls, _| {
                    calls.ended().cloned()
                });
                Err(ended.unwrap_or(EndReason::Deaf).to_error(self.peer_name, true))
            }
        }
    }

    /// Waits until `done` returns a value. Receives for all that wait, or sleeps while another
    /// thread receives.
    ///
    /// # Errors
    /// `TimedOut` or `Cancelled`.
    fn wait<T>(
        &self,
        deadline: &mut Deadline<'_>,
        waiting: &mut ReplyWait,
        mut done: impl FnMut(&mut Calls, &mut ReplyWait) -> Option<T>,
    ) -> Result<T> {
        let _registered = deadline.cancel.map(|cancel| cancel.register(&thread::current()));
        let mut state = self.state();
        let mut has_waited = false;
        let result = loop {
            if state.calls.queued() > 0 {
                // There may be room for one more call.
                state.send_queued(&self.link);
            }
            if let Some(value) = done(&mut state.calls, waiting) {
                break Ok(value);
            }
            if std::mem::replace(&mut has_waited, true) {
                deadline.look();
            }
            if let Err(error) = deadline.check() {
                break Err(error);
            }
            state = match state.role.enter() {
                true => self.receive(state, deadline, waiting),
                false => self.sleep(state, deadline, waiting.waiter),
            };
        };
        state.hand_over();
        result
    }

    /// Sleeps until another thread wakes this one.
    fn sleep<'s>(
        &'s self,
        mut state: StateGuard<'s>,
        deadline: &Deadline<'_>,
        waiter: Option<WaiterNumber>,
    ) -> StateGuard<'s> {
        let this = Waiting(thread::current());
        state.role.sleep(this.clone(), waiter);
        drop(state);
        thread::park_timeout(deadline.left());
        let mut state = self.state();
        state.role.woke(&this);
        state
    }

    /// Receives, with the receiver role, and gives the role up.
    #[inline]
    fn receive<'s>(
        &'s self,
        state: StateGuard<'s>,
        deadline: &mut Deadline<'_>,
        waiting: &mut ReplyWait,
    ) -> StateGuard<'s> {
        let in_flight = state.calls.in_flight();
        let retry = state.calls.retry_after();
        drop(state);
        let mut shorter;
        let deadline = match retry {
            Some(retry) => {
                shorter = deadline.at_most(retry);
                &mut shorter
            }
            None => deadline,
        };
        if in_flight >= 2 {
            // Several replies may be there.
            return self.receive_several(deadline, in_flight, waiting);
        }
        let received = self.receiver.receive(&self.link, deadline);
        let mut state = self.state();
        state.role.leave();
        self.take_in(&mut state, received, waiting);
        state
    }

    #[inline(never)]
    fn receive_several(
        &self,
        deadline: &mut Deadline<'_>,
        in_flight: usize,
        waiting: &mut ReplyWait,
    ) -> StateGuard<'_> {
        let mut batch = Batch::take();
        let received = self.receiver.receive_several(&self.link, deadline, in_flight, &mut batch);
        self.take_in_several(received, batch, waiting)
    }

    /// Gives up the receiver role, and processes what was received.
    fn take_in_several(
        &self,
        received: Result<(), ReceiveResult>,
        mut batch: Batch,
        waiting: &mut ReplyWait,
    ) -> StateGuard<'_> {
        let mut state = self.state();
        state.role.leave();
        if let Err(nothing) = received {
            self.take_in(&mut state, nothing, waiting);
        }
        while state.calls.ended().is_none() {
            let (mut buffer, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
            let Some(received) = batch.next(&mut buffer, &mut handles) else { break };
            self.take_in(&mut state, ReceiveResult::of(buffer, &received, handles), waiting);
        }
        if batch.len() > 0 {
            // Frames after the end are discarded without the lock, because closing their handles
            // may take long.
            drop(state);
            drop(batch);
            state = self.state();
        }
        state
    }

    /// Hands a received frame to its waiter, which usually is the thread that has received it.
    fn take_in(
        &self,
        state: &mut ConnectionState,
        incoming: ReceiveResult,
        receiver: &mut ReplyWait,
    ) {
        let ended = match incoming {
            ReceiveResult::NotYet => return,
            ReceiveResult::Nothing(ended) => ended,
            ReceiveResult::Frame(frame) => {
                match state.calls.take_frame(&self.link, frame, receiver) {
                    Ok(None) => return,
                    Ok(Some(waiter)) => return state.wake(waiter),
                    Err(ended) => ended,
                }
            }
        };
        crate::log::debug!(reason = ?ended, pid = self.server.pid, "the connection has ended");
        state.calls.end_with(ended);
        state.wake_all();
    }

    /// Receives for tasks, and for pending calls without a waiting thread. Reads the frames that
    /// have arrived, and sends the queued calls for which they make room. Never waits. Does nothing while a thread receives.
    pub(super) fn dispatch(&self) -> Dispatched {
        let mut state = self.state();
        let now = now();
        let is_tick = !state.tasks.is_empty() && state.armed.is_some_and(|armed| armed <= now);
        // The last frames of an ended process are received before its end counts.
        let server_has_ended = is_tick && self.receiver.server_has_ended(&self.link);
        let mut is_empty = true;
        if state.calls.ended().is_none() && state.role.enter_as_driver() {
            // One more than the number of calls, to see whether other frames are left.
            let count = (state.calls.in_flight() + 1).min(Batch::MAX);
            drop(state);
            let mut batch = Batch::take();
            let received = Receiver::receive_now(&self.link, count, &mut batch);
            is_empty = batch.len() < count;
            state = self.take_in_several(received, batch, &mut ReplyWait::default());
            if !is_empty {
                state.role.mark_unread();
            }
        }
        if server_has_ended && is_empty {
            state.calls.end_with(EndReason::Died);
            state.wake_all();
        }
        if state.calls.queued() > 0 {
            state.send_queued(&self.link);
        }
        let (late, deadline) = state.calls.late(now);
        late.into_iter().for_each(|waiter| state.wake(waiter));
        if is_empty {
            state.hand_over();
        }
        let retry = state.calls.retry_after().map(|retry| now + retry);
        let tick = (!state.tasks.is_empty()).then(|| self.receiver.wait_end(now + INTERVAL));
        let armed = state.armed.filter(|armed| *armed > now);
        state.armed = [deadline, retry, tick, armed].into_iter().flatten().min();
        Dispatched { is_empty, next: state.armed }
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
        self.state().tasks.remove(&waiter);
    }

    /// Returns the error of a wait that the end of the connection has ended.
    #[cfg(feature = "tokio")]
    pub(super) fn poll_end(&self, waiter: WaiterNumber, context: &mut Context<'_>) -> Poll<Error> {
        let mut state = self.state();
        if let Some(ended) = state.calls.ended() {
            return Poll::Ready(ended.to_error(self.peer_name, true));
        }
        state.tasks.insert(waiter, context.waker().clone());
        if state.armed.is_none() || state.role.needs_drivers() {
            state.call_drivers();
        }
        Poll::Pending
    }

    /// Wakes all tasks that wait on this connection.
    #[cfg(feature = "tokio")]
    pub(super) fn wake_tasks(&self) {
        self.state().wake_tasks();
    }

    /// Calls `with` with the drivers of this connection.
    pub(super) fn with_drivers<R>(&self, with: impl FnOnce(&mut Drivers) -> R) -> R {
        with(&mut self.state().drivers)
    }

    fn state(&self) -> StateGuard<'_> {
        StateGuard(Some(self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Deref for StateGuard<'_> {
    type Target = ConnectionState;

    #[inline]
    fn deref(&self) -> &ConnectionState {
        match &self.0 {
            Some(state) => state,
            None => unreachable!("the lock is released only by `drop`"),
        }
    }
}

impl DerefMut for StateGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut ConnectionState {
        match &mut self.0 {
            Some(state) => state,
            None => unreachable!("the lock is released only by `drop`"),
        }
    }
}

impl Drop for StateGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.woken.is_empty() {
            self.unlock_and_wake();
        }
    }
}

impl StateGuard<'_> {
    /// Unlocks the state and wakes the tasks.
    #[cold]
    fn unlock_and_wake(&mut self) {
        let woken = std::mem::take(&mut self.woken);
        drop(self.0.take());
        woken.into_iter().for_each(Waker::wake);
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
        state.call_drivers();
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

/// Returns the error of a wait for an object that was not signalled in time.
pub(super) fn wait_timed_out() -> Error {
    Error::detected(ErrorKind::TimedOut, "timed out waiting for the object").of_no_call()
}

/// Returns the error of a cancelled wait for an object.
pub(super) fn wait_cancelled() -> Error {
    Error::detected(ErrorKind::Cancelled, "the wait was cancelled").of_no_call()
}

/// Longest wait on drop until the socket has room for `Bye`. The wait is needed only if the system
/// refused a larger socket buffer.
const BYE_WAIT: Duration = Duration::from_millis(100);
