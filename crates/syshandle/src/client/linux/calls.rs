//! Calls of a connection: queued ones, those in flight, and results that were not fetched yet.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_types::Limits;
use syshandle_wire::{
    Body, ClientEnd, ClientEndEvent, Entries, Entry, Fault, Features, FrameKind, Header,
    ReleasedObjects, SlotNotes, Violation,
};

use super::call_queue::{CallQueue, NewCall, Obstacle, OwnedCall, QueuedCall};
use super::end_reason::{EndReason, LAST_WORDS, PeerName};
use super::one_way::OneWayCallers;
use super::receiver::ReceivedFrame;
use super::released_numbers::{ReceivedEntry, ReleaseQueue};
use super::reply::{EncodedReply, Replies, ReplyBody, ReplyWait, Waiter, WaiterNumber};
use crate::buffer::{give_bytes, take_bytes};
use crate::link::{BodyError, Link};
use crate::received_handles::{KernelProver, ReceivedHandles};
use crate::send_error::{is_past_limit, send_error};
use crate::slots::{KeptGuard, Slots};
use crate::sync::now;
use crate::untyped_stream::{Streams, UnclaimedStream};
use crate::{Error, ErrorKind, Result};

/// Calls of a connection, in every state.
#[derive(Debug)]
pub(super) struct Calls {
    end: ClientEnd<Waiter>,
    streams: Arc<Streams>,
    peer_name: PeerName,
    /// Number of the last waiter.
    last_waiter: WaiterNumber,
    queue: CallQueue,
    results: Replies,
    one_way: OneWayCallers,
    /// The numbers of objects to give back.
    released: Arc<ReleaseQueue>,
    /// The registered handles.
    slots: Arc<Slots>,
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

impl Calls {
    pub(super) fn new(end: ClientEnd<Waiter>, peer_name: PeerName, streams: Arc<Streams>) -> Self {
        Self {
            end,
            streams,
            peer_name,
            last_waiter: 0,
            queue: CallQueue::default(),
            results: Replies::default(),
            one_way: OneWayCallers::default(),
            released: Arc::default(),
            slots: Arc::default(),
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
        if self.queue.len() > 0 || !matches!(self.sending, Sending::Open) {
            return None;
        }
        let waiter = Waiter { number: self.last_waiter + 1, fetched_by };
        let (entries, size) = (call.entries(), call.body.size());
        let started = match call.one_way {
            None => self.end.start(call.method, entries, size, timeout_ms, waiter),
            Some(caller) => {
                self.end.start_one_way((caller, call.method), entries, size, timeout_ms)
            }
        };
        let mut header = started.ok()?;
        header.object = call.object;
        Some((header, self.add_waiter(fetched_by)))
    }

    /// Appends a call to the queue.
    ///
    /// # Errors
    /// The reason why the connection has ended, and the errors of [`CallQueue::push`].
    pub(super) fn enqueue(
        &mut self,
        call: OwnedCall,
        fetched_by: Option<Instant>,
    ) -> Result<WaiterNumber> {
        if let Some(ended) = self.ended() {
            return Err(ended.to_error(self.peer_name, false));
        }
        let waiter = self.add_waiter(fetched_by);
        self.queue.push(waiter, call)?;
        Ok(waiter.number)
    }

    /// Puts a started call into the queue, because its frame was not sent for this reason.
    ///
    /// # Errors
    /// The error of a call that can never be sent.
    pub(super) fn requeue(
        &mut self,
        header: &Header,
        error: io::Error,
        waiter: Waiter,
        call: Result<OwnedCall>,
    ) -> Result<()> {
        let obstacle = self.unsent(header, error)?;
        self.queue.put_back(QueuedCall::new(waiter, call?));
        self.queue.set_obstacle(obstacle);
        self.streams.set_calls_wait(self.needs_room());
        Ok(())
    }

    /// Forgets a call whose frame the socket did not accept. Returns what the call has to wait for.
    fn unsent(&mut self, header: &Header, error: io::Error) -> Result<Obstacle> {
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

    /// Sends the queued calls for which there is room. Returns the waiters of calls that ended.
    #[cold]
    pub(super) fn send_queued(&mut self, link: &Link) -> Vec<WaiterNumber> {
        let mut ended = self.give_up_if_deaf();
        self.queue.set_obstacle(Obstacle::Slots);
        while let Sending::Open = self.sending {
            let started = self.queue.start(&mut self.end);
            if started.is_empty() {
                break;
            }
            let (sent, mut error) = match send(link, &started) {
                Ok(sent) => (sent, None),
                Err(error) => (0, Some(error)),
            };
            for (index, (header, call)) in started.into_iter().enumerate() {
                if index < sent {
                    call.call.sent();
                    if call.call.one_way.is_some() {
                        self.results.put(call.waiter.number, EncodedReply::nothing());
                        ended.push(call.waiter.number);
                    }
                    give_bytes(call.call.body.into_room());
                    continue;
                }
                // The error concerns the first call. The others are started again.
                let Some(error) = error.take() else {
                    self.end.unsent(&header);
                    self.queue.put_back(call);
                    continue;
                };
                match self.unsent(&header, error) {
                    Ok(obstacle) => {
                        self.queue.put_back(call);
                        self.queue.set_obstacle(obstacle);
                    }
                    Err(error) => {
                        self.results.fail(call.waiter.number, error);
                        ended.push(call.waiter.number);
                    }
                }
            }
            if self.queue.obstacle().is_some_and(|obstacle| obstacle != Obstacle::Slots) {
                break;
            }
        }
        if self.queue.lacks_memory() && !self.memory_asked {
            // Asks once for the release of shared memory.
            self.memory_asked = link.send_header(&Header::new(FrameKind::Release)).is_ok();
        }
        self.streams.set_calls_wait(self.needs_room());
        ended
    }

    /// Ends the queued calls if the server takes no more. Returns their waiters.
    fn give_up_if_deaf(&mut self) -> Vec<WaiterNumber> {
        match self.sending {
            Sending::Deaf(until) if until <= now() => {}
            _ => return Vec::new(),
        }
        let deaf = || EndReason::Deaf.to_error(self.peer_name, false);
        let waiters: Vec<_> = self.queue.clear().collect();
        waiters.iter().for_each(|waiter| self.results.fail(*waiter, deaf()));
        waiters
    }

    /// Returns whether queued calls wait for room in the socket, which the kernel reports.
    pub(super) fn needs_room(&self) -> bool {
        matches!(self.sending, Sending::Open) && self.queue.obstacle() == Some(Obstacle::Socket)
    }

    /// Returns the longest time after which the queue has to be sent again, because neither a frame
    /// of the server nor the kernel may report that there is room.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match (&self.sending, self.queue.obstacle()?) {
            (Sending::Deaf(_), _) => Some(LAST_WORDS),
            (Sending::Open, Obstacle::Handles) => Some(HANDLES_RETRY),
            (Sending::Open, Obstacle::Slots | Obstacle::Socket) | (Sending::Ended(_), _) => None,
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
        if let Some(late) = self.queue.remove(waiter, self.end.limits()) {
            // It may have been the only call that waits for room before the items of streams.
            self.streams.set_calls_wait(self.needs_room());
            let is_late = reason.kind() == ErrorKind::TimedOut;
            return (Err(if is_late { late } else { reason }), None);
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
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        for waiter in self.end.waiting().map(|(_, waiter)| waiter).chain(self.queue.waiters()) {
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
        for waiter in self.queue.clear() {
            self.results.fail(waiter, reason.to_error(self.peer_name, false));
        }
        self.streams.end(reason.to_error(self.peer_name, true));
        self.sending = Sending::Ended(reason);
        // Closing a handle doesn't block.
        drop(self.slots.close());
    }

    /// Processes a received frame. Returns the waiter of its reply, unless the reply belongs to the
    /// receiving thread. `notices_death` returns whether the death of the server is noticed even if
    /// this process holds the server's end of the connection.
    ///
    /// # Errors
    /// The reason why the frame ends the connection.
    pub(super) fn take_frame(
        &mut self,
        link: &Link,
        frame: ReceivedFrame,
        receiver: &mut ReplyWait,
        notices_death: &dyn Fn() -> bool,
    ) -> Result<Option<WaiterNumber>, EndReason> {
        let ReceivedFrame { buffer, len, mut handles, truncated } = frame;
        let (event, inline) = self.end.receive(&buffer[..len], handles.len(), truncated)?;
        match event {
            ClientEndEvent::Reply { waiter, status, body, entries, handles_lost } => {
                let numbers =
                    self.received(link, &entries, &mut handles, handles_lost, notices_death)?;
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
                let reply = EncodedReply { status, body, handles, numbers, handles_lost };
                if !is_own {
                    self.results.put(waiter.number, reply);
                    return Ok(Some(waiter.number));
                }
                receiver.result = Some(Ok(reply));
            }
            ClientEndEvent::LateReply { body, entries } => {
                self.has_read(link, body);
                drop(self.received(link, &entries, &mut handles, true, notices_death)?);
            }
            ClientEndEvent::Slots => drop(self.slots.receive(inline)?),
            ClientEndEvent::Arena => link.set_incoming(&mut handles)?,
            ClientEndEvent::ArenaLost => link.outgoing().send_again(),
            ClientEndEvent::ReleaseRequest(release) => self.release(link, release),
            ClientEndEvent::OneWayFailed { call, method } => {
                let fault = Fault::read(inline).map_err(|_| Violation::NotOurs)?;
                self.one_way.failed(call, method, &fault);
            }
            ClientEndEvent::Nothing => {}
            ClientEndEvent::Stream(header) => {
                self.streams.receive(&header, inline, handles, truncated)?;
            }
            ClientEndEvent::Bye => return Err(EndReason::Closed),
            ClientEndEvent::Refused => {
                let fault = Fault::read(inline).map_err(|_| Violation::NotOurs)?;
                return Err(EndReason::refused(fault, self.end.has_replied()));
            }
        }
        Ok(None)
    }

    /// Takes over what a reply has brought in addition to the handles of its frame, even if its call
    /// was given up. Opens its streams.
    #[inline]
    fn received(
        &self,
        link: &Link,
        entries: &Entries,
        handles: &mut ReceivedHandles,
        are_lost: bool,
        notices_death: &dyn Fn() -> bool,
    ) -> Result<Vec<Option<ReceivedEntry>>, Violation> {
        match entries.is_empty() {
            true => Ok(Vec::new()),
            false => self.take_entries(link, entries, handles, are_lost, notices_death),
        }
    }

    #[cold]
    fn take_entries(
        &self,
        link: &Link,
        entries: &Entries,
        handles: &mut ReceivedHandles,
        are_lost: bool,
        notices_death: &dyn Fn() -> bool,
    ) -> Result<Vec<Option<ReceivedEntry>>, Violation> {
        let mut all = handles.take_all().into_iter();
        let sender = link.socket.peer_quota();
        let mut received = Vec::with_capacity(entries.len());
        for entry in entries.iter() {
            received.push(match entry {
                Entry::Handle => {
                    handles.extend(all.next());
                    None
                }
                Entry::HandleToKeep(_) if self.slots().is_none() => {
                    handles.extend(all.next());
                    None
                }
                Entry::HandleToKeep(token) => match all.next().filter(|_| !are_lost) {
                    Some(handle) => {
                        let by = (KernelProver::usual_filesystems(), sender);
                        let reserve = KeptGuard::of_result;
                        let kept = self.slots.keep(token, handle, by, reserve, notices_death);
                        kept.map_err(|handle| handles.push(handle)).ok().map(ReceivedEntry::Kept)
                    }
                    None => {
                        self.slots.decline(token);
                        None
                    }
                },
                Entry::Stream(id) => match UnclaimedStream::open(&self.streams, id) {
                    Ok(stream) => Some(ReceivedEntry::Stream(stream)),
                    // The quota that a client keeps for its server has no such limit.
                    Err(Ok(_limit)) => return Err(Violation::TooManyStreams),
                    Err(Err(violation)) => return Err(violation),
                },
                Entry::Object(number) => {
                    Some(ReceivedEntry::Number(self.released.received(number)))
                }
                Entry::Slot(slot) => Some(match self.slots.get(slot) {
                    Some(handle) => ReceivedEntry::Kept(handle),
                    None => ReceivedEntry::Missing,
                }),
            });
        }
        handles.extend(all);
        Ok(received)
    }

    /// Returns the registered handles, if the server keeps and passes any.
    pub(super) fn slots(&self) -> Option<&Arc<Slots>> {
        self.end.features().contains(Features::REGISTERED_HANDLES).then_some(&self.slots)
    }

    /// Returns whether references to objects of the server are numbers.
    pub(super) fn takes_objects(&self) -> bool {
        self.end.features().contains(Features::OBJECTS)
    }

    /// Returns whether the server takes one-way calls.
    pub(super) fn takes_one_way_calls(&self) -> bool {
        self.end.features().contains(Features::ONE_WAY)
    }

    /// Returns whether one-way calls may not have ended.
    ///
    /// # Errors
    /// The reason why the connection has ended before all of them.
    pub(super) fn has_one_way_calls(&self) -> Result<bool> {
        match self.ended() {
            Some(ended) if self.end.unacknowledged() > 0 => {
                Err(ended.to_error(self.peer_name, true))
            }
            Some(_) => Ok(false),
            None => Ok(self.end.unacknowledged() + self.queue.len() > 0),
        }
    }

    /// Returns the references that have made one-way calls.
    pub(super) fn one_way(&mut self) -> &mut OneWayCallers {
        &mut self.one_way
    }

    /// Returns whether failures of one-way calls were not logged yet.
    #[inline]
    pub(super) fn has_unlogged(&self) -> bool {
        self.one_way.has_unlogged()
    }

    /// Returns the streams of the connection.
    #[inline]
    pub(super) fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    /// Returns whether messages may open streams.
    pub(super) fn takes_streams(&self) -> bool {
        self.end.features().contains(Features::STREAMS)
    }

    /// Returns the numbers of objects to give back.
    pub(super) fn released(&self) -> &Arc<ReleaseQueue> {
        &self.released
    }

    /// Gives numbers of objects and slots back, as far as the socket has room. Returns `false` if some are
    /// left.
    #[cold]
    pub(super) fn send_released(&mut self, link: &Link) -> bool {
        while !self.released.is_empty() && matches!(self.sending, Sending::Open) {
            let taken = self.released.take();
            let (header, body) = ReleasedObjects::write(&taken);
            if link.send(&header, &body.into(), &[]).is_err() {
                // If the connection has ended, so have its numbers.
                self.released.put_back(&taken);
                return false;
            }
        }
        if !self.slots.has_notes() || !matches!(self.sending, Sending::Open) {
            return true;
        }
        self.slots.send_notes(|notes| {
            let (header, body) = SlotNotes::write(notes);
            link.send(&header, &body.into(), &[]).is_ok()
        })
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

/// Sends started calls. Returns the number of calls that were sent.
fn send(link: &Link, started: &[(Header, QueuedCall)]) -> io::Result<usize> {
    let [(header, QueuedCall { call, .. })] = started else {
        let frames = started.iter().map(|(header, queued)| (header, &queued.call.body));
        return link.send_several(frames);
    };
    let handles: Vec<_> = call.handles.iter().map(AsFd::as_fd).collect();
    link.send(header, &call.body, &handles).map(|()| 1)
}

/// Interval of attempts to send while too many handles are in flight to the server. No event
/// reports that the server has received them.
const HANDLES_RETRY: Duration = Duration::from_millis(5);
