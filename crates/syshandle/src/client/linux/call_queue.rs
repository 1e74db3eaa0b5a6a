//! Calls that wait in the client until they can be sent.
//!
//! The server limits the calls in flight. A call waits in the queue if that limit is reached, or if
//! the socket or the shared memory has no room. The queue owns copies of the call's arguments and
//! handles, so no thread has to wait for its turn: the receiver of the next frame also sends the
//! calls for which the frame made room. A pipelined call waits in the same queue until it is sent
//! together with others.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX, OwnedHandle};
use syshandle_types::{Limits, MessageObjects, Payload};
use syshandle_wire::{ClientEnd, Entries, Header, MessageEntries, StartError};

use super::deadline::milliseconds;
use super::released_numbers::ReceivedNumber;
use super::reply::{UNFETCHED_BYTES_MAX, Waiter, WaiterNumber};
use crate::buffer::take_bytes;
use crate::send_error::past_limit;
use crate::slots::PassedSlots;
use crate::sync::now;
use crate::untyped_stream::OpeningStreams;
use crate::{Error, ErrorKind, Result};

/// Call to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewCall<'c, 'p> {
    /// Number of the object; 0 for the object of the connection.
    pub(super) object: u32,
    pub(super) method: u32,
    pub(super) body: &'c Payload<'p>,
    pub(super) handles: &'c [BorrowedHandle<'c>],
    /// The objects and slots that the arguments refer to.
    pub(super) objects: &'c PassedReferences,
    /// The number of the reference that makes a one-way call.
    pub(super) one_way: Option<u32>,
    /// The call without slots, if `objects` names any.
    pub(super) plain: Option<&'c Self>,
}

/// References to objects of the server that a call passes back, slots of registered handles, and
/// streams.
#[derive(Debug, Default)]
pub(super) struct PassedReferences {
    pub(super) table: Entries,
    /// Keeps the numbers valid until the call is sent.
    pub(super) kept: Vec<Arc<ReceivedNumber>>,
    pub(super) slots: PassedSlots,
    pub(super) streams: Option<Arc<Mutex<CallStreams>>>,
}

/// The streams that a call opens.
#[derive(Debug)]
pub(super) enum CallStreams {
    Opening(OpeningStreams),
    /// The call has no connection yet. These are its entries.
    Unopened(MessageObjects),
    /// The call was sent.
    Sent,
}

/// Call with copies of its arguments and handles, so that it can wait.
#[derive(Debug)]
pub(super) struct OwnedCall {
    object: u32,
    pub(super) method: u32,
    pub(super) body: Payload<'static>,
    pub(super) handles: Vec<OwnedHandle>,
    objects: PassedReferences,
    /// The number of the reference that makes a one-way call.
    pub(super) one_way: Option<u32>,
    deadline: Instant,
}

/// Call with the waiter of its result.
#[derive(Debug)]
pub(super) struct QueuedCall {
    pub(super) waiter: Waiter,
    pub(super) call: OwnedCall,
    /// Whether no range of the shared memory was large enough at the last attempt.
    lacks_memory: bool,
}

/// Queued calls, in the order in which they were begun, which is the order of their waiters.
#[derive(Debug, Default)]
pub(super) struct CallQueue {
    calls: VecDeque<QueuedCall>,
    /// Bytes of the arguments of all calls.
    bytes: usize,
    obstacle: Obstacle,
    /// Whether the last attempt found too little shared memory for a call.
    memory_is_short: bool,
}

/// The reason why the last attempt did not send all calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The limit of calls in flight, or no range of the shared memory that is large enough. A frame
    /// of the server makes room.
    #[default]
    Slots,
    /// No room in the socket.
    Socket,
    /// The limit of handles in flight.
    Handles,
}

impl NewCall<'_, '_> {
    /// Returns the entries of the call's frame.
    #[inline]
    pub(super) fn entries(&self) -> MessageEntries {
        entries(self.handles.len(), self.objects)
    }

    /// Returns the number of bytes of the body and the table.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.body.len() + self.objects.len()
    }

    /// Returns whether the call is sent in one system call with others.
    pub(super) fn is_small(&self) -> bool {
        is_small(self.len(), self.handles.len())
    }
}

impl PassedReferences {
    /// Makes references that are opened when the connection exists.
    pub(super) fn unopened(entries: MessageObjects) -> Self {
        let streams = Some(Arc::new(Mutex::new(CallStreams::Unopened(entries))));
        Self { streams, ..Self::default() }
    }

    /// Takes the entries of a call that had no connection.
    #[cfg(feature = "tokio")]
    pub(super) fn take_unopened(&self) -> MessageObjects {
        match self.take_streams() {
            Some(CallStreams::Unopened(entries)) => entries,
            _ => MessageObjects::new(),
        }
    }

    fn take_streams(&self) -> Option<CallStreams> {
        let mut streams = self.streams.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::replace(&mut *streams, CallStreams::Sent))
    }

    /// Records that the call was sent. The caller wakes the streams afterwards.
    #[inline]
    pub(super) fn are_sent(&self) {
        self.slots.are_sent();
        if let Some(CallStreams::Opening(opening)) = self.take_streams() {
            opening.sent();
        }
    }

    /// Returns the references of a call that is sent later. It does not ask the server to keep
    /// handles.
    fn of_later_call(&self) -> Self {
        let Self { table, kept, slots, streams } = self;
        Self {
            table: table.without_requests(),
            kept: kept.clone(),
            slots: slots.of_later_message(),
            streams: streams.clone(),
        }
    }

    /// Returns the number of bytes of the table.
    #[inline]
    fn len(&self) -> usize {
        self.table.as_bytes().len()
    }
}

impl OwnedCall {
    /// Records that the call was sent. The caller wakes the streams afterwards.
    pub(super) fn sent(&self) {
        self.objects.are_sent();
    }

    /// Returns the references of the call.
    #[cfg(feature = "tokio")]
    pub(super) fn objects_mut(&mut self) -> &mut PassedReferences {
        &mut self.objects
    }

    /// Copies the arguments and duplicates the handles.
    pub(super) fn copy(call: &NewCall<'_, '_>, deadline: Instant) -> Result<Self> {
        let mut body = take_bytes();
        call.body.write(|part| {
            body.extend_from_slice(part);
            true
        });
        let handles = call.handles.iter().map(|handle| handle.try_clone_to_owned());
        let handles = handles.collect::<io::Result<_>>().map_err(|error| {
            let text = "a handle to send can't be duplicated";
            Error::detected(ErrorKind::System, text).because(error)
        })?;
        let NewCall { object, method, one_way, .. } = *call;
        let (body, objects) = (body.into(), call.objects.of_later_call());
        Ok(Self { object, method, body, handles, objects, one_way, deadline })
    }

    /// Returns the number of bytes of the body and the table.
    pub(super) fn len(&self) -> usize {
        self.body.len() + self.objects.len()
    }
}

impl QueuedCall {
    pub(super) fn new(waiter: Waiter, call: OwnedCall) -> Self {
        Self { waiter, call, lacks_memory: false }
    }
}

/// Returns whether a call is sent in one system call with others.
fn is_small(bytes: usize, handles: usize) -> bool {
    handles == 0 && bytes <= SMALL_MAX
}

/// Returns the entries of a call's frame.
#[inline]
fn entries(handles: usize, objects: &PassedReferences) -> MessageEntries {
    // The encoder has already refused more handles than fit into `u16`.
    MessageEntries { handles: handles as u16, table: objects.table.clone() }
}

impl CallQueue {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Appends a call.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] beyond the limits of the queue.
    pub(super) fn push(&mut self, waiter: Waiter, call: OwnedCall) -> Result<()> {
        let (calls, bytes) = (self.calls.len(), self.bytes + call.len());
        let excess = match () {
            () if calls >= CALLS_MAX => {
                format!("{calls} calls wait to be sent (limit: {CALLS_MAX} calls)")
            }
            // A single call has fewer bytes than the limit.
            () if bytes > UNFETCHED_BYTES_MAX => format!(
                "with it {bytes} bytes would wait to be sent (limit: {UNFETCHED_BYTES_MAX} bytes)"
            ),
            () => {
                self.bytes = bytes;
                self.calls.push_back(QueuedCall::new(waiter, call));
                return Ok(());
            }
        };
        let text = format!("the call can't be queued in the client: {excess}");
        Err(Error::detected(ErrorKind::Busy, text))
    }

    /// Inserts a call that could not be sent at its place.
    pub(super) fn put_back(&mut self, call: QueuedCall) {
        let place = self.calls.partition_point(|other| other.waiter.number < call.waiter.number);
        self.bytes += call.call.len();
        self.calls.insert(place, call);
    }

    fn take(&mut self, place: usize) -> Option<QueuedCall> {
        let call = self.calls.remove(place)?;
        self.bytes -= call.call.len();
        Some(call)
    }

    /// Removes a call that is no longer wanted. Returns the error that states why the call was not
    /// sent in time, or `None` if the call is not in the queue.
    pub(super) fn remove(&mut self, waiter: WaiterNumber, limits: Limits) -> Option<Error> {
        let place = self.calls.binary_search_by_key(&waiter, |call| call.waiter.number).ok()?;
        let call = self.take(place)?;
        let text = match self.obstacle {
            _ if call.lacks_memory => "timed out waiting for room in the shared memory".to_owned(),
            Obstacle::Slots => {
                let limit = limits.calls_max;
                format!("timed out waiting for a free call slot (limit: {limit} calls in flight)")
            }
            Obstacle::Socket => "timed out waiting for room in the socket".to_owned(),
            Obstacle::Handles => return Some(past_limit()),
        };
        Some(Error::detected(ErrorKind::TimedOut, text))
    }

    /// Removes all calls, and returns their waiters.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = WaiterNumber> {
        std::mem::take(self).calls.into_iter().map(|call| call.waiter.number)
    }

    /// Returns the waiters of all calls.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.calls.iter().map(|call| &call.waiter)
    }

    /// Returns whether the last attempt found too little shared memory for a call.
    pub(super) fn lacks_memory(&self) -> bool {
        self.memory_is_short
    }

    /// Returns what the calls wait for, if there are calls.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        (!self.calls.is_empty()).then_some(self.obstacle)
    }

    /// Records why an attempt to send did not send all calls.
    pub(super) fn set_obstacle(&mut self, obstacle: Obstacle) {
        self.obstacle = obstacle;
    }

    /// Starts the calls that the next system call sends: several small ones, or one. Removes them
    /// from the queue.
    pub(super) fn start(&mut self, end: &mut ClientEnd<Waiter>) -> Vec<(Header, QueuedCall)> {
        let (mut started, mut place, now) = (Vec::new(), 0, now());
        self.memory_is_short = false;
        while started.len() < PIPELINED_MAX {
            let Some(queued) = self.calls.get_mut(place) else { break };
            let OwnedCall { object, method, body, handles, objects, one_way, deadline } =
                &queued.call;
            let len = queued.call.len();
            let is_small = is_small(len, handles.len());
            if self.memory_is_short && len > Limits::INLINE_BYTES_MAX {
                // Large calls start in order of arrival. Otherwise smaller ones could delay the
                // largest forever.
                place += 1;
                continue;
            }
            if !is_small && !started.is_empty() {
                break;
            }
            let timeout_ms = milliseconds(deadline.saturating_duration_since(now));
            let entries = entries(handles.len(), objects);
            let begun = match *one_way {
                None => end.start(*method, entries, body.size(), timeout_ms, queued.waiter),
                Some(caller) => {
                    end.start_one_way((caller, *method), entries, body.size(), timeout_ms)
                }
            };
            match begun {
                Ok(mut header) => {
                    header.object = *object;
                    started.extend(self.take(place).map(|call| (header, call)));
                    if !is_small {
                        break;
                    }
                }
                Err(StartError::TooManyCalls) => break,
                Err(StartError::NoSharedMemory) => {
                    queued.lacks_memory = true;
                    self.memory_is_short = true;
                    if one_way.is_some() {
                        // No later call overtakes a one-way call.
                        break;
                    }
                    place += 1;
                }
            }
        }
        started
    }
}

/// Number of messages that one system call sends.
pub(super) const PIPELINED_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// A call with a larger body, or with handles, is sent alone.
const SMALL_MAX: usize = 1024;

/// Limit of queued calls: a thousand times the calls in flight. A program with more makes calls
/// faster than the server runs them, and its queue would grow until its memory is full.
const CALLS_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::run_once;

    fn call(bytes: usize) -> OwnedCall {
        let body = vec![0; bytes].into();
        let (handles, objects, one_way) = Default::default();
        OwnedCall { object: 0, method: 1, body, handles, objects, one_way, deadline: now() }
    }

    fn waiter(number: WaiterNumber) -> Waiter {
        Waiter { number, fetched_by: None }
    }

    #[test]
    fn the_queue_is_bounded_in_calls_and_bytes_and_has_room_again_when_calls_leave() {
        run_once(|| {
            let mut queue = CallQueue::default();
            for number in 0..CALLS_MAX as u64 {
                queue.push(waiter(number), call(0)).unwrap();
            }
            let error = queue.push(waiter(70_000), call(0)).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
            assert!(error.to_string().ends_with("sent (limit: 65536 calls)"), "{error}");
            assert!(queue.remove(7, Limits::default()).is_some());
            queue.push(waiter(70_000), call(0)).unwrap();
            assert_eq!(queue.clear().count(), CALLS_MAX);

            queue.push(waiter(1), call(UNFETCHED_BYTES_MAX)).unwrap();
            let error = queue.push(waiter(2), call(1)).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
            assert!(error.to_string().contains("268435457 bytes"), "{error}");
            let first = queue.take(0).unwrap();
            queue.push(waiter(2), call(1)).unwrap();
            queue.put_back(first);
            assert_eq!(queue.waiters().map(|waiter| waiter.number).collect::<Vec<_>>(), [1, 2]);
        });
    }
}
