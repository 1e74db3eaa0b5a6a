//! Calls of a connection: queued ones, those in flight, and results that were not fetched yet.
//!
//! The server limits the calls in flight. A call waits in a queue of the client if the limit is
//! reached, or if the socket or the shared memory has no room. The queue owns copies of the call's
//! arguments and handles, so no thread has to wait for its turn: the receiver of the next frame also
//! sends the calls for which the frame made room. A pipelined call waits in the same queue until it
//! is sent together with others.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX, OwnedHandle};
use syshandle_types::{Limits, Payload};
use syshandle_wire::{
    Body, ClientEnd, ClientEndEvent, Fault, FrameKind, Header, StartError, Violation,
};

use super::deadline::milliseconds;
use super::end_reason::{EndReason, LAST_WORDS, PeerName};
use super::receiver::ReceivedFrame;
use super::reply::{EncodedReply, Replies, ReplyBody, ReplyWait, Waiter, WaiterNumber};
use crate::buffer::{give_bytes, take_bytes};
use crate::link::{BodyError, Link};
use crate::send_error::{is_past_limit, past_limit, send_error};
use crate::sync::now;
use crate::{Error, ErrorKind, Result};

/// Calls of a connection, in every state.
#[derive(Debug)]
pub(super) struct Calls {
    end: ClientEnd<Waiter>,
    peer_name: PeerName,
    /// Number of the last waiter.
    last_waiter: WaiterNumber,
    queue: VecDeque<QueuedCall>,
    results: Replies,
    /// Whether the server was told that shared memory is short.
    memory_asked: bool,
    sending: Sending,
    /// No earlier than the first deadline of a call whose reply may be fetched late.
    next_deadline: Option<Instant>,
}

/// Progress of a connection towards its end.
#[derive(Debug)]
enum Sending {
    Open,
    /// The server takes no more calls, and may still send the reason until this time.
    Deaf(Instant),
    Ended(EndReason),
}

/// Call to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewCall<'c, 'p> {
    pub(super) method: u32,
    pub(super) body: &'c Payload<'p>,
    pub(super) handles: &'c [BorrowedHandle<'c>],
}

/// Call that waits to be sent.
#[derive(Debug)]
pub(super) struct QueuedCall {
    waiter: Waiter,
    deadline: Instant,
    method: u32,
    body: Payload<'static>,
    handles: Vec<OwnedHandle>,
    /// The reason why the call was not sent at the last attempt.
    obstacle: Obstacle,
}

/// The reason why a call can't be sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The limit of calls in flight.
    Slots,
    /// No room in the shared memory.
    Memory,
    /// No room in the socket.
    Socket,
    /// The limit of handles in flight.
    Handles,
}

impl NewCall<'_, '_> {
    /// Copies the arguments and duplicates the handles, so that the call can wait.
    pub(super) fn queued(&self, waiter: Waiter, deadline: Instant) -> Result<QueuedCall> {
        let mut body = take_bytes();
        self.body.write(|part| {
            body.extend_from_slice(part);
            true
        });
        let (method, obstacle) = (self.method, Obstacle::Slots);
        let (body, handles) = (body.into(), duplicate(self.handles)?);
        Ok(QueuedCall { waiter, deadline, method, body, handles, obstacle })
    }

    /// Returns whether the call is sent in one system call with others.
    pub(super) fn is_small(&self) -> bool {
        is_small(self.body, self.handles.len())
    }
}

/// Duplicates handles that are lent to a call which waits.
pub(super) fn duplicate(handles: &[BorrowedHandle<'_>]) -> Result<Vec<OwnedHandle>> {
    let copies =
        handles.iter().map(|handle| handle.try_clone_to_owned()).collect::<io::Result<_>>();
    copies.map_err(|error| {
        let text = "a handle to send can't be duplicated";
        Error::detected(ErrorKind::System, text).because(error)
    })
}

fn is_small(body: &Payload<'_>, handles: usize) -> bool {
    handles == 0 && body.len() <= SMALL_MAX
}

impl Calls {
    pub(super) fn new(end: ClientEnd<Waiter>, peer_name: PeerName) -> Self {
        Self {
            end,
            peer_name,
            last_waiter: 0,
            queue: VecDeque::new(),
            results: Replies::default(),
            memory_asked: false,
            sending: Sending::Open,
            next_deadline: None,
        }
    }

    /// Returns the limits of calls.
    pub(super) fn limits(&self) -> Limits {
        self.end.limits()
    }

    /// Returns the number of calls in flight.
    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.end.running()
    }

    /// Returns the number of calls that wait to be sent.
    #[inline]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether the server expects a `Bye`.
    pub(super) fn owes_bye(&self) -> bool {
        self.end.owes_bye()
    }

    /// Returns why the connection has ended.
    pub(super) fn ended(&self) -> Option<&EndReason> {
        match &self.sending {
            Sending::Ended(reason) => Some(reason),
            Sending::Open | Sending::Deaf(_) => None,
        }
    }

    /// Sets the size of the shared memory that this side writes.
    pub(super) fn set_memory(&mut self, size: usize) {
        self.end.outgoing().set_size(size);
    }

    /// Registers a waiter. `fetched_by` is the deadline if the result may be fetched late.
    #[inline]
    pub(super) fn add_waiter(&mut self, fetched_by: Option<Instant>) -> Waiter {
        self.last_waiter += 1;
        if let Some(deadline) = fetched_by {
            let next = self.next_deadline.map_or(deadline, |next| next.min(deadline));
            self.next_deadline = Some(next);
        }
        Waiter { number: self.last_waiter, fetched_by }
    }

    /// Starts a call, unless it has to wait or the connection has ended.
    #[inline]
    pub(super) fn start(
        &mut self,
        call: &NewCall<'_, '_>,
        timeout_ms: u32,
        fetched_by: Option<Instant>,
    ) -> Option<(Header, Waiter)> {
        if !self.queue.is_empty() || !matches!(self.sending, Sending::Open) {
            return None;
        }
        let waiter = Waiter { number: self.last_waiter + 1, fetched_by };
        // The encoder has already refused more handles than fit into `u16`.
        let handles = call.handles.len() as u16;
        let size = call.body.size();
        let header = self.end.start(call.method, handles, size, timeout_ms, waiter).ok()?;
        Some((header, self.add_waiter(fetched_by)))
    }

    /// Appends a call to the queue.
    ///
    /// # Errors
    /// The reason why the connection has ended.
    pub(super) fn enqueue(&mut self, call: QueuedCall) -> Result<()> {
        if let Some(ended) = self.ended() {
            return Err(ended.to_error(self.peer_name, false));
        }
        self.queue.push_back(call);
        Ok(())
    }

    /// Forgets a call whose frame the socket did not accept. Returns what the call has to wait for.
    ///
    /// # Errors
    /// The error of a call that can never be sent.
    pub(super) fn unsent(&mut self, header: &Header, error: io::Error) -> Result<Obstacle> {
        self.end.unsent(header);
        match error.kind() {
            io::ErrorKind::WouldBlock => Ok(Obstacle::Socket),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                if matches!(self.sending, Sending::Open) {
                    self.sending = Sending::Deaf(now() + LAST_WORDS);
                }
                Ok(Obstacle::Socket)
            }
            _ if is_past_limit(&error) => Ok(Obstacle::Handles),
            _ => Err(send_error(error, header.handles > 0)),
        }
    }

    /// Puts a call that was not sent to the front of the queue.
    pub(super) fn put_back(&mut self, call: QueuedCall, obstacle: Obstacle) {
        self.queue.push_front(QueuedCall { obstacle, ..call });
    }

    /// Sends the queued calls for which there is room. Returns the waiters of calls that ended.
    #[cold]
    pub(super) fn send_queued(&mut self, link: &Link) -> Vec<WaiterNumber> {
        let mut ended = self.give_up_if_deaf();
        while let Sending::Open = self.sending {
            let started = self.start_queued();
            if started.is_empty() {
                break;
            }
            let (sent, error) = match send(link, &started) {
                Ok(sent) => (sent, None),
                Err(error) => (0, Some(error)),
            };
            let mut started = started.into_iter();
            started.by_ref().take(sent).for_each(|(_, call)| give_bytes(call.body.into_room()));
            let Some(error) = error else {
                // The others are sent by the next system call.
                started.rev().for_each(|(header, call)| {
                    self.end.unsent(&header);
                    self.put_back(call, Obstacle::Socket);
                });
                continue;
            };
            let mut unsent = started.rev().collect::<Vec<_>>();
            let Some((header, first)) = unsent.pop() else { break };
            for (header, call) in unsent {
                self.end.unsent(&header);
                self.put_back(call, Obstacle::Slots);
            }
            match self.unsent(&header, error) {
                Ok(obstacle) => {
                    self.put_back(first, obstacle);
                    break;
                }
                Err(error) => {
                    self.results.fail(first.waiter.number, error);
                    ended.push(first.waiter.number);
                }
            }
        }
        ended
    }

    /// Starts the queued calls that the next system call sends: several small ones, or one.
    fn start_queued(&mut self) -> Vec<(Header, QueuedCall)> {
        let (mut started, mut index, mut memory_is_short) = (Vec::new(), 0, false);
        let now = now();
        while started.len() < PIPELINED_MAX {
            let Some(call) = self.queue.get_mut(index) else { break };
            let is_large = call.body.len() > Limits::INLINE_BYTES_MAX;
            if is_large && memory_is_short {
                // Large calls start in order of arrival. Otherwise smaller ones could delay the
                // largest forever.
                index += 1;
                continue;
            }
            let is_small = is_small(&call.body, call.handles.len());
            if !is_small && !started.is_empty() {
                break;
            }
            let timeout_ms = milliseconds(call.deadline.saturating_duration_since(now));
            let (handles, size) = (call.handles.len() as u16, call.body.size());
            match self.end.start(call.method, handles, size, timeout_ms, call.waiter) {
                Ok(header) => {
                    started.extend(self.queue.remove(index).map(|call| (header, call)));
                    if !is_small {
                        break;
                    }
                }
                Err(StartError::TooManyCalls) => {
                    call.obstacle = Obstacle::Slots;
                    break;
                }
                Err(StartError::NoSharedMemory) => {
                    call.obstacle = Obstacle::Memory;
                    memory_is_short = true;
                    index += 1;
                }
            }
        }
        started
    }

    /// Asks the server to release shared memory if a call waits for that, once.
    pub(super) fn ask_for_memory(&mut self, link: &Link) {
        let is_short = self.queue.iter().any(|call| call.obstacle == Obstacle::Memory);
        if is_short && !self.memory_asked {
            self.memory_asked = link.send_header(&Header::new(FrameKind::Release)).is_ok();
        }
    }

    /// Ends the queued calls if the server takes no more. Returns their waiters.
    fn give_up_if_deaf(&mut self) -> Vec<WaiterNumber> {
        match self.sending {
            Sending::Deaf(until) if until <= now() => {}
            _ => return Vec::new(),
        }
        let deaf = || EndReason::Deaf.to_error(self.peer_name, false);
        let waiters: Vec<_> = self.queue.drain(..).map(|call| call.waiter.number).collect();
        waiters.iter().for_each(|waiter| self.results.fail(*waiter, deaf()));
        waiters
    }

    /// Returns the longest time after which the queue has to be sent again, because no frame of the
    /// server may announce that there is room.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match (&self.sending, self.queue.front()?.obstacle) {
            (Sending::Ended(_), _) | (_, Obstacle::Slots | Obstacle::Memory) => None,
            (Sending::Deaf(_), _) => Some(LAST_WORDS),
            (Sending::Open, Obstacle::Socket) => Some(SOCKET_RETRY),
            (Sending::Open, Obstacle::Handles) => Some(HANDLES_RETRY),
        }
    }

    /// Takes the result of a call.
    #[inline]
    pub(super) fn take_result(&mut self, waiter: WaiterNumber) -> Option<Result<EncodedReply>> {
        if self.results.is_empty() && matches!(self.sending, Sending::Open) {
            return None;
        }
        let result = self.results.take(waiter);
        result.or_else(|| Some(Err(self.ended()?.to_error(self.peer_name, true))))
    }

    /// Returns whether the call has a result.
    pub(super) fn has_result(&self, waiter: WaiterNumber) -> bool {
        self.ended().is_some() || self.results.has(waiter)
    }

    /// Forgets a call that is no longer wanted, for this reason. Returns the result of the call,
    /// and the frame that cancels it if it was sent.
    pub(super) fn give_up(
        &mut self,
        waiter: WaiterNumber,
        reason: Error,
    ) -> (Result<EncodedReply>, Option<Header>) {
        if let Some(result) = self.results.take(waiter) {
            return (result, None);
        }
        if let Some(place) = self.queue.iter().position(|call| call.waiter.number == waiter) {
            let call = self.queue.remove(place);
            let error = match call {
                Some(call) if reason.kind() == ErrorKind::TimedOut => {
                    call.obstacle.timed_out(self.end.limits())
                }
                _ => reason,
            };
            return (Err(error), None);
        }
        let in_flight = self.end.waiting().find(|(_, one)| one.number == waiter);
        let call = in_flight.map(|(call, _)| call);
        (Err(reason.maybe_ran()), call.and_then(|call| self.end.cancel(call)))
    }

    /// Returns the waiters of calls whose time is over, and the next time to ask.
    pub(super) fn late(&mut self, now: Instant) -> (Vec<WaiterNumber>, Option<Instant>) {
        if self.next_deadline.is_none_or(|next| next > now) {
            return (Vec::new(), self.next_deadline);
        }
        let queued = self.queue.iter().map(|call| &call.waiter);
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        for waiter in self.end.waiting().map(|(_, waiter)| waiter).chain(queued) {
            match waiter.fetched_by {
                Some(deadline) if deadline <= now => late.push(waiter.number),
                Some(deadline) => next = Some(next.map_or(deadline, |next| next.min(deadline))),
                None => {}
            }
        }
        self.next_deadline = next;
        (late, next)
    }

    /// Ends the connection, unless it has ended.
    pub(super) fn end_with(&mut self, reason: EndReason) {
        if self.ended().is_some() {
            return;
        }
        self.end.into_waiters().for_each(drop);
        for call in self.queue.drain(..) {
            self.results.fail(call.waiter.number, reason.to_error(self.peer_name, false));
        }
        self.sending = Sending::Ended(reason);
    }

    /// Processes a received frame. Returns the waiter of its reply, unless the reply belongs to the
    /// receiving thread.
    ///
    /// # Errors
    /// The reason why the frame ends the connection.
    pub(super) fn take_frame(
        &mut self,
        link: &Link,
        frame: ReceivedFrame,
        receiver: &mut ReplyWait,
    ) -> Result<Option<WaiterNumber>, EndReason> {
        let ReceivedFrame { buffer, len, mut handles, truncated } = frame;
        let (event, inline) = self.end.receive(&buffer[..len], handles.len(), truncated)?;
        match event {
            ClientEndEvent::Reply { waiter, status, body, handles_lost } => {
                let is_own = receiver.waiter == Some(waiter.number);
                let (body, bytes_lost) = match (link.check_body(body), body) {
                    (Ok(()), Body::Inline { .. }) if is_own => {
                        let start = len - inline.len();
                        (ReplyBody::Frame { frame: buffer, start, end: len }, false)
                    }
                    (Ok(()), Body::Inline { .. }) => {
                        let mut copy = take_bytes();
                        copy.extend_from_slice(inline);
                        (ReplyBody::Copy(copy), false)
                    }
                    // The server may need its memory before the reply is fetched.
                    (Ok(()), Body::Shared { .. }) if waiter.fetched_by.is_some() && !is_own => {
                        let copy = link.copy(body).ok_or(Violation::BadArena)?;
                        self.has_read(link, body);
                        (ReplyBody::Copy(copy), false)
                    }
                    (Ok(()), Body::Shared { .. }) => (ReplyBody::Shared(body), false),
                    (Err(BodyError::Lost | BodyError::PastLimit(_)), _) => {
                        self.has_read(link, body);
                        (ReplyBody::Copy(Vec::new()), true)
                    }
                    (Err(BodyError::Violation(violation)), _) => return Err(violation.into()),
                };
                let handles_lost = handles_lost || bytes_lost;
                let reply = EncodedReply { status, body, handles, handles_lost };
                if !is_own {
                    self.results.put(waiter.number, reply);
                    return Ok(Some(waiter.number));
                }
                receiver.result = Some(Ok(reply));
            }
            ClientEndEvent::LateReply(body) => self.has_read(link, body),
            ClientEndEvent::Arena => link.set_incoming(&mut handles)?,
            ClientEndEvent::ArenaLost => link.outgoing().send_again(),
            ClientEndEvent::ReleaseRequest(release) => self.release(link, release),
            ClientEndEvent::Nothing => {}
            ClientEndEvent::Bye => return Err(EndReason::Closed),
            ClientEndEvent::Refused => {
                let fault = Fault::read(inline).map_err(|_| Violation::NotOurs)?;
                return Err(EndReason::refused(fault, self.end.has_replied()));
            }
        }
        Ok(None)
    }

    /// Releases the range of a reply in the server's memory.
    pub(super) fn has_read(&mut self, link: &Link, body: Body) {
        let release = self.end.has_read(body);
        self.release(link, release);
    }

    /// Releases ranges of the server's memory now, if `header` is given. Otherwise the next call
    /// releases them.
    fn release(&mut self, link: &Link, header: Option<Header>) {
        if let Some(header) = header {
            if link.send_header(&header).is_err() {
                // The socket is full. The next call releases these ranges.
                self.end.unreleased(&header);
            }
        }
    }
}

impl Obstacle {
    /// Returns the error of a call that waited for this until its time was over.
    fn timed_out(self, limits: Limits) -> Error {
        let text = match self {
            Self::Slots => {
                let limit = limits.calls_max;
                format!("timed out waiting for a free call slot (limit: {limit} calls in flight)")
            }
            Self::Memory => "timed out waiting for room in the shared memory".to_owned(),
            Self::Socket => "timed out waiting for room in the socket".to_owned(),
            Self::Handles => return past_limit(),
        };
        Error::detected(ErrorKind::TimedOut, text)
    }
}

/// Sends started calls. Returns the number of calls that were sent.
fn send(link: &Link, started: &[(Header, QueuedCall)]) -> io::Result<usize> {
    let [(header, call)] = started else {
        let frames = started.iter().map(|(header, call)| (header, &call.body));
        return link.send_several(frames);
    };
    let handles: Vec<_> = call.handles.iter().map(AsFd::as_fd).collect();
    link.send(header, &call.body, &handles).map(|()| 1)
}

/// Number of messages that one system call sends.
pub(super) const PIPELINED_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// A call with a larger body, or with handles, is sent alone.
const SMALL_MAX: usize = 1024;

/// Interval of attempts to send while the socket is full. Usually the reply to a call in the socket
/// comes earlier.
const SOCKET_RETRY: Duration = Duration::from_millis(20);

/// Interval of attempts to send while too many handles are in flight to the server. No event
/// reports that the server has received them.
const HANDLES_RETRY: Duration = Duration::from_millis(5);
