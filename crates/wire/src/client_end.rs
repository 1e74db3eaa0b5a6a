//! The client's end of a connection. It keeps track of pending calls and interprets received
//! frames.

use syshandle_types::{BodySize, Limits};

use crate::one_way::SentCalls;
use crate::pending_releases::PendingReleases;
use crate::{
    Body, Entries, Entry, Fault, Features, FrameKind, Greeting, Header, Hello, MessageEntries,
    Ranges, Status, Violation,
};

/// The client's end of a connection.
///
/// Every call gets exactly one reply, even if it is cancelled, and counts as running until then. A
/// one-way call gets no reply, and counts until the server has acknowledged that it has ended.
/// `W` identifies the waiter that the driver wakes when the reply arrives.
#[derive(Debug)]
pub struct ClientEnd<W> {
    limits: Limits,
    features: Features,
    slots: Vec<Slot<W>>,
    running: u16,
    one_way: SentCalls,
    outgoing: Ranges,
    pending_releases: PendingReleases,
    /// Whether the server has asked for a `Bye` at the end, in one of its replies.
    awaits_bye: bool,
    /// Whether any reply has arrived.
    has_replied: bool,
}

/// The state of one call. The index of the slot is the lower half of the call's ID.
#[derive(Debug)]
struct Slot<W> {
    /// The upper half of the call's ID. It is incremented for each call, so that an ID is not
    /// reused soon.
    turn: u16,
    state: State<W>,
}

#[derive(Debug)]
enum State<W> {
    Free,
    Waiting(W),
    Cancelled,
}

/// An event that a frame from the server causes.
#[derive(Debug)]
pub enum ClientEndEvent<W> {
    /// A reply to the call of `waiter`.
    Reply {
        /// The waiter passed to [`ClientEnd::start`].
        waiter: W,
        /// The result of the call.
        status: Status,
        /// Location of the body.
        body: Body,
        /// The table of what the body refers to.
        entries: Entries,
        /// Whether handles of the reply were lost in transit.
        handles_lost: bool,
    },
    /// The reply to a cancelled call. The driver must release its body and its entries.
    LateReply {
        /// Location of the body.
        body: Body,
        /// The table of what the body refers to.
        entries: Entries,
    },
    /// A one-way call failed. The body of the frame is its [`Fault`].
    OneWayFailed {
        /// The id that the client has passed to [`ClientEnd::start_one_way`].
        call: u32,
        /// Number of the method.
        method: u32,
    },
    /// A frame of a stream. The driver passes it to the streams of the connection.
    Stream(Header),
    /// Slots of registered handles. The body of the frame contains what happens to them.
    Slots,
    /// The server has rejected the connection.
    Refused,
    /// The server is closing the connection.
    Bye,
    /// The server's shared memory has arrived as the handle of the frame. The handle may have been
    /// lost in transit.
    Arena,
    /// The server did not receive the handle of the client's shared memory. The driver must send
    /// the handle again.
    ArenaLost,
    /// The server needs free ranges of its shared memory. The driver must send the contained frame,
    /// which releases all ranges that were read.
    ReleaseRequest(Option<Header>),
    /// The frame only released ranges, or acknowledged one-way calls. The driver has nothing to do.
    Nothing,
}

/// The reason why a call can't start until another call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The maximum number of calls is in flight.
    TooManyCalls,
    /// No free range of the shared memory is large enough.
    NoSharedMemory,
}

impl<W> ClientEnd<W> {
    /// Opens the connection. `frame` is the complete greeting frame of the server, and `own` are the
    /// features in the client's hello. Returns the client's end and the decoded greeting.
    ///
    /// # Errors
    /// Returns the fault if the server rejects the connection, and a [`Violation`] if the frame is
    /// not a greeting.
    pub fn open(
        frame: &[u8],
        handles: usize,
        own: Features,
    ) -> Result<(Self, Greeting), OpenError> {
        let (header, body) = Header::read(frame)?;
        match header.kind {
            _ if handles > 0 || header.handles > 0 => Err(Violation::TooManyHandles.into()),
            // A greeting can't release any range, because the client has not allocated one yet.
            _ if !header.releases.as_slice().is_empty() => Err(Violation::UnknownRelease.into()),
            FrameKind::Greeting => {
                let greeting = Greeting::read(body)?;
                let end = Self {
                    limits: greeting.limits.at_most(Limits::default()),
                    features: greeting.features.common(own),
                    slots: Vec::new(),
                    running: 0,
                    one_way: SentCalls::default(),
                    outgoing: Ranges::default(),
                    pending_releases: PendingReleases::of_client(),
                    awaits_bye: false,
                    has_replied: false,
                };
                Ok((end, greeting))
            }
            FrameKind::Refused => {
                Err(OpenError::Refused(Fault::read(body).map_err(|_| Violation::NotOurs)?))
            }
            kind => Err(Violation::Unexpected(kind).into()),
        }
    }

    /// Returns the client's first frame, which answers the greeting.
    pub fn hello(hello: Hello) -> (Header, Vec<u8>) {
        let body = hello.write();
        let inline = Body::Inline { len: body.len() as u32 };
        (Header { body: inline, ..Header::new(FrameKind::Hello) }, body)
    }

    /// Returns the limits of calls. Each is the lower of the server's and the client's limit.
    #[inline]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the features that are in effect on the connection.
    #[inline]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Returns the number of calls that have no reply yet, including cancelled calls.
    #[inline]
    pub fn running(&self) -> usize {
        self.running.into()
    }

    /// Returns the number of one-way calls that the server has not acknowledged.
    #[inline]
    pub fn unacknowledged(&self) -> usize {
        self.one_way.unacknowledged()
    }

    /// Returns the id and the waiter of each call that waits for its reply.
    pub fn waiting(&self) -> impl Iterator<Item = (u32, &W)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match &slot.state {
            State::Waiting(waiter) => Some((u32::from(slot.turn) << 16 | index as u32, waiter)),
            State::Free | State::Cancelled => None,
        })
    }

    /// Starts a call and returns the header of its frame. If the body is too large for the frame,
    /// the header contains the offset of a range of shared memory. The driver must copy the body
    /// there before it sends the frame.
    ///
    /// # Errors
    /// [`StartError`] if the call can't start until another one ends.
    #[inline]
    pub fn start(
        &mut self,
        method: u32,
        entries: impl Into<MessageEntries>,
        body: impl Into<BodySize>,
        timeout_ms: u32,
        waiter: W,
    ) -> Result<Header, StartError> {
        let (MessageEntries { handles, table }, body) = self.place_call(entries, body)?;
        let free = self.slots.iter().position(|slot| matches!(slot.state, State::Free));
        let index = free.unwrap_or_else(|| {
            self.slots.push(Slot { turn: 0, state: State::Free });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.turn = slot.turn.wrapping_add(1);
        slot.state = State::Waiting(waiter);
        self.running += 1;
        let call = u32::from(slot.turn) << 16 | index as u32;
        let releases = self.pending_releases.take();
        Ok(Header {
            handles,
            call,
            code: method,
            timeout_ms,
            body,
            releases,
            entries: table,
            ..Header::new(FrameKind::Call)
        })
    }

    /// Starts a one-way call, like [`ClientEnd::start`]. `call` identifies it in the event of its
    /// failure. Several calls may have the same id.
    ///
    /// # Errors
    /// [`StartError`] if the call can't start until another one ends.
    #[inline]
    pub fn start_one_way(
        &mut self,
        (call, method): (u32, u32),
        entries: impl Into<MessageEntries>,
        body: impl Into<BodySize>,
        timeout_ms: u32,
    ) -> Result<Header, StartError> {
        let (MessageEntries { handles, table }, body) = self.place_call(entries, body)?;
        self.one_way.sent();
        Ok(Header {
            handles,
            call,
            code: method,
            timeout_ms,
            body,
            releases: self.pending_releases.take(),
            entries: table,
            one_way: true,
            ..Header::new(FrameKind::Call)
        })
    }

    /// Finds a place for the arguments of a call, if the call may start now.
    #[inline]
    fn place_call(
        &mut self,
        entries: impl Into<MessageEntries>,
        body: impl Into<BodySize>,
    ) -> Result<(MessageEntries, Body), StartError> {
        let entries = entries.into();
        if self.is_full() {
            return Err(StartError::TooManyCalls);
        }
        let body = place(body.into(), &entries.table, &mut self.outgoing);
        Ok((entries, body.ok_or(StartError::NoSharedMemory)?))
    }

    /// Returns whether as many calls are in flight as the limit permits.
    #[inline]
    fn is_full(&self) -> bool {
        self.running() + self.unacknowledged() >= self.limits.calls_max.into()
    }

    /// Undoes the start of a call whose frame could not be sent.
    pub fn unsent(&mut self, header: &Header) {
        match header.one_way {
            true => self.one_way.unsent(),
            false => drop(self.end_call(header.call)),
        }
        self.pending_releases.put_back(&header.releases);
        if let Body::Shared { offset, .. } = header.body {
            // The range was allocated for this call, and the server does not know of it.
            let _ = self.outgoing.give_back(offset);
        }
    }

    /// Cancels a call. Returns the header of the `Cancel` frame, or `None` if the reply has already
    /// arrived.
    pub fn cancel(&mut self, call: u32) -> Option<Header> {
        let slot = self.slot(call)?;
        match slot.state {
            State::Waiting(_) => slot.state = State::Cancelled,
            State::Free | State::Cancelled => return None,
        }
        Some(Header { call, ..Header::new(FrameKind::Cancel) })
    }

    /// Processes a received frame. `handles` is the number of received handles, which is lower than
    /// the number sent if the kernel truncated them.
    ///
    /// # Errors
    /// Returns a [`Violation`] if the frame breaks the protocol. The connection must then be
    /// closed.
    #[inline]
    pub fn receive<'f>(
        &mut self,
        frame: &'f [u8],
        handles: usize,
        handles_truncated: bool,
    ) -> Result<(ClientEndEvent<W>, &'f [u8]), Violation> {
        let (header, body) = Header::read(frame)?;
        header.check_features(self.features)?;
        check_handles(&header, handles, handles_truncated)?;
        give_back(&mut self.outgoing, &header)?;
        if self.features.contains(Features::ONE_WAY) {
            self.one_way.acknowledged(&header)?;
        }
        let event = match header.kind {
            FrameKind::Reply => {
                check_body(header.body, self.limits)?;
                let unknown = Violation::UnknownReply(header.call);
                let status = Status::from_number(header.code);
                let status = status.ok_or(Violation::UnknownStatus(header.code))?;
                // The number would stand for the object of the connection.
                if header.entries.iter().any(|entry| entry == Entry::Object(0)) {
                    return Err(Violation::BadEntries);
                }
                self.awaits_bye |= header.awaits_bye;
                self.has_replied = true;
                match self.end_call(header.call).ok_or(unknown)? {
                    State::Waiting(waiter) => ClientEndEvent::Reply {
                        waiter,
                        status,
                        body: header.body,
                        entries: header.entries,
                        handles_lost: handles_truncated,
                    },
                    State::Cancelled => {
                        ClientEndEvent::LateReply { body: header.body, entries: header.entries }
                    }
                    State::Free => return Err(unknown),
                }
            }
            FrameKind::Acknowledge => {
                self.awaits_bye |= header.awaits_bye;
                self.has_replied = true;
                match header.body {
                    Body::Inline { len: 0 } => ClientEndEvent::Nothing,
                    _ => {
                        self.one_way.failed()?;
                        ClientEndEvent::OneWayFailed { call: header.call, method: header.code }
                    }
                }
            }
            FrameKind::Slots => ClientEndEvent::Slots,
            FrameKind::Refused => ClientEndEvent::Refused,
            FrameKind::Bye => ClientEndEvent::Bye,
            FrameKind::Arena if header.handles == 1 => ClientEndEvent::Arena,
            FrameKind::Arena => ClientEndEvent::ArenaLost,
            FrameKind::Release if header.asks() => {
                ClientEndEvent::ReleaseRequest(self.pending_releases.release_at_once())
            }
            FrameKind::Release => ClientEndEvent::Nothing,
            FrameKind::Item | FrameKind::Credit | FrameKind::End | FrameKind::Stop => {
                ClientEndEvent::Stream(header)
            }
            kind => return Err(Violation::Unexpected(kind)),
        };
        Ok((event, body))
    }

    /// Returns the allocator of the shared memory that the client writes.
    pub fn outgoing(&mut self) -> &mut Ranges {
        &mut self.outgoing
    }

    /// Records that a range of the server's shared memory was read. The next frame releases the
    /// range. If many ranges or bytes are waiting to be released, returns a frame that releases
    /// them now.
    pub fn has_read(&mut self, body: Body) -> Option<Header> {
        self.pending_releases.has_read(body)
    }

    /// Restores the releases of a frame that could not be sent, so that the next frame contains
    /// them.
    pub fn unreleased(&mut self, header: &Header) {
        self.pending_releases.put_back(&header.releases);
    }

    /// Returns whether the client must send `Bye` at the end. It must if a reply has asked for it,
    /// or if a call has no reply or acknowledgement yet, because the server may then still hold work
    /// for this client.
    pub fn owes_bye(&self) -> bool {
        self.awaits_bye || self.running > 0 || self.unacknowledged() > 0
    }

    /// Returns whether the server has replied to a call, or acknowledged one.
    pub fn has_replied(&self) -> bool {
        self.has_replied
    }

    /// Returns the waiters of all calls without a reply, after the connection has ended.
    pub fn into_waiters(&mut self) -> impl Iterator<Item = W> {
        self.running = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| match slot.state {
            State::Waiting(waiter) => Some(waiter),
            State::Free | State::Cancelled => None,
        })
    }

    fn slot(&mut self, call: u32) -> Option<&mut Slot<W>> {
        let slot = self.slots.get_mut(call as usize & 0xffff)?;
        (u32::from(slot.turn) == call >> 16).then_some(slot)
    }

    fn end_call(&mut self, call: u32) -> Option<State<W>> {
        let slot = self.slot(call)?;
        let state = std::mem::replace(&mut slot.state, State::Free);
        if !matches!(state, State::Free) {
            self.running -= 1;
        }
        Some(state)
    }
}

/// The reason why a connection could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The server rejected the connection.
    Refused(Fault),
    /// The server violated the protocol.
    Violation(Violation),
}

impl From<Violation> for OpenError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Chooses where to put a body of this size. Returns `None` if it needs shared memory and none is
/// free.
#[inline]
pub(crate) fn place(size: BodySize, table: &Entries, outgoing: &mut Ranges) -> Option<Body> {
    let len = size.len as u32;
    match size.len + table.as_bytes().len() {
        0..=Limits::INLINE_BYTES_MAX => Some(Body::Inline { len }),
        _ => Some(Body::Shared { offset: outgoing.take(size)?, len }),
    }
}

/// Compares the number of received handles with the number in the header.
#[inline]
pub(crate) fn check_handles(
    header: &Header,
    handles: usize,
    truncated: bool,
) -> Result<(), Violation> {
    let received = u16::try_from(handles).unwrap_or(u16::MAX);
    match received == header.handles || truncated && received < header.handles {
        true => Ok(()),
        false => Err(Violation::WrongHandles { declared: header.handles, received }),
    }
}

#[inline]
pub(crate) fn check_body(body: Body, limits: Limits) -> Result<(), Violation> {
    match body {
        Body::Inline { len } | Body::Shared { len, .. } if len > limits.message_bytes_max => {
            Err(Violation::TooManyBytes)
        }
        _ => Ok(()),
    }
}

#[inline]
pub(crate) fn give_back(outgoing: &mut Ranges, header: &Header) -> Result<(), Violation> {
    for offset in header.releases.as_slice() {
        if !outgoing.give_back(*offset) {
            return Err(Violation::UnknownRelease);
        }
    }
    Ok(())
}
