//! The client's end of a connection: which calls wait for a reply, and what a frame means.

use crate::due::Due;
use crate::{
    Body, BodySize, Fault, FrameKind, Greeting, Header, Hello, Limits, Ranges, Status, Violation,
};

/// The client's end of a connection.
///
/// Every call gets exactly one reply, also one that was cancelled: until then it counts. `W` is
/// whatever the driver wakes when a reply comes.
#[derive(Debug)]
pub struct ClientEnd<W> {
    limits: Limits,
    slots: Vec<Slot<W>>,
    running: u16,
    outgoing: Ranges,
    due: Due,
    /// A reply has said that a good-bye is awaited.
    awaits_bye: bool,
    /// A reply has come.
    has_replied: bool,
}

/// A place for a call; its index is the low half of the call's id.
#[derive(Debug)]
struct Slot<W> {
    /// The high half of the id, so that an id doesn't come again soon.
    turn: u16,
    state: State<W>,
}

#[derive(Debug)]
enum State<W> {
    Free,
    Waiting(W),
    Cancelled,
}

/// What a frame from the server means.
#[derive(Debug)]
pub enum FromServer<W> {
    /// A reply to the call that `waiter` waits for.
    Reply {
        /// Who waits.
        waiter: W,
        /// How the call went.
        status: Status,
        /// Where the bytes are.
        body: Body,
        /// Its handles were lost on the way.
        handles_lost: bool,
    },
    /// A reply that nobody waits for any more. Its body is to be given back all the same.
    Late(Body),
    /// The connection isn't served.
    Refused,
    /// The server is done.
    Bye,
    /// The handle is the server's shared memory; it may have been lost on the way.
    Arena,
    /// The server lost the handle of the client's shared memory: it is to be sent once more.
    ArenaLost,
    /// The server is short of shared memory: the frame to send gives back what is due.
    Asked(Option<Header>),
    /// Ranges came back.
    Nothing,
}

/// Why a call can't start before another one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// As many calls run as may.
    Calls,
    /// The shared memory has no free range that large.
    Shared,
}

impl<W> ClientEnd<W> {
    /// Opens the connection: checks the server's greeting, a whole frame, and returns what it says
    /// beside the end.
    ///
    /// # Errors
    /// The fault, where the server refuses the connection; [`Violation`] where it is no greeting.
    pub fn open(frame: &[u8], handles: usize) -> Result<(Self, Greeting), OpenError> {
        let (header, body) = Header::read(frame)?;
        match header.kind {
            _ if handles > 0 || header.handles > 0 => Err(Violation::TooManyHandles.into()),
            // Nothing was taken yet.
            _ if !header.releases.as_slice().is_empty() => Err(Violation::UnknownRelease.into()),
            FrameKind::Greeting => {
                let greeting = Greeting::read(body)?;
                let end = Self {
                    limits: greeting.limits.at_most(Limits::default()),
                    slots: Vec::new(),
                    running: 0,
                    outgoing: Ranges::default(),
                    due: Due::of_client(),
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

    /// The frame that answers the greeting.
    pub fn hello(hello: Hello) -> (Header, Vec<u8>) {
        let body = hello.write().to_vec();
        let inline = Body::Inline { len: body.len() as u32 };
        (Header { body: inline, ..Header::new(FrameKind::Hello) }, body)
    }

    /// The limits of calls: those of the server, or of this side if they are lower.
    #[inline]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How many calls wait for their reply, also those that were cancelled.
    #[inline]
    pub fn running(&self) -> usize {
        self.running.into()
    }

    /// Starts a call: returns the header of its frame. A body that is too large to go in the frame
    /// has a range of shared memory, where the driver puts it before it sends.
    ///
    /// # Errors
    /// [`Busy`] until another call ends.
    #[inline]
    pub fn start(
        &mut self,
        method: u32,
        handles: u16,
        body: impl Into<BodySize>,
        timeout_ms: u32,
        waiter: W,
    ) -> Result<Header, Busy> {
        if self.running == self.limits.calls_max {
            return Err(Busy::Calls);
        }
        let body = place(body.into(), &mut self.outgoing).ok_or(Busy::Shared)?;
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
        let releases = self.due.take();
        Ok(Header {
            handles,
            call,
            code: method,
            timeout_ms,
            body,
            releases,
            ..Header::new(FrameKind::Call)
        })
    }

    /// Forgets a call whose frame couldn't be sent.
    pub fn unsent(&mut self, header: &Header) {
        self.end_call(header.call);
        self.due.put_back(&header.releases);
        if let Body::Shared { offset, .. } = header.body {
            // It was taken for this call and nobody has heard of it.
            let _ = self.outgoing.give_back(offset);
        }
    }

    /// Nobody waits for this call any more: returns the header of the frame that says so, unless
    /// the reply has come.
    pub fn cancel(&mut self, call: u32) -> Option<Header> {
        let slot = self.slot(call)?;
        match slot.state {
            State::Waiting(_) => slot.state = State::Cancelled,
            State::Free | State::Cancelled => return None,
        }
        Some(Header { call, ..Header::new(FrameKind::Cancel) })
    }

    /// Takes a frame that came with so many handles, fewer than were sent if they were truncated.
    ///
    /// # Errors
    /// [`Violation`]: the connection ends.
    #[inline]
    pub fn receive<'f>(
        &mut self,
        frame: &'f [u8],
        handles: usize,
        handles_truncated: bool,
    ) -> Result<(FromServer<W>, &'f [u8]), Violation> {
        let (header, body) = Header::read(frame)?;
        check_handles(&header, handles, handles_truncated)?;
        give_back(&mut self.outgoing, &header)?;
        let event = match header.kind {
            FrameKind::Reply => {
                check_body(header.body, self.limits)?;
                let unknown = Violation::UnknownReply(header.call);
                let status = Status::from_number(header.code);
                let status = status.ok_or(Violation::UnknownStatus(header.code))?;
                self.awaits_bye |= header.awaits_bye;
                self.has_replied = true;
                match self.end_call(header.call).ok_or(unknown)? {
                    State::Waiting(waiter) => FromServer::Reply {
                        waiter,
                        status,
                        body: header.body,
                        handles_lost: handles_truncated,
                    },
                    State::Cancelled => FromServer::Late(header.body),
                    State::Free => return Err(unknown),
                }
            }
            FrameKind::Refused => FromServer::Refused,
            FrameKind::Bye => FromServer::Bye,
            FrameKind::Arena if header.handles == 1 => FromServer::Arena,
            FrameKind::Arena => FromServer::ArenaLost,
            FrameKind::Release if header.asks() => FromServer::Asked(self.due.asked()),
            FrameKind::Release => FromServer::Nothing,
            kind => return Err(Violation::Unexpected(kind)),
        };
        Ok((event, body))
    }

    /// The ranges of the shared memory that this side writes.
    pub fn outgoing(&mut self) -> &mut Ranges {
        &mut self.outgoing
    }

    /// A range of the server's shared memory was read: it is given back with the next frame, or
    /// with the one that this returns when there is much to give back.
    pub fn has_read(&mut self, body: Body) -> Option<Header> {
        self.due.has_read(body)
    }

    /// A frame that gives something back couldn't be sent: it goes with the next one.
    pub fn unreleased(&mut self, header: &Header) {
        self.due.put_back(&header.releases);
    }

    /// Whether it matters that the client says good-bye: something may go on for it at the server,
    /// as a reply has said, or in a call that wasn't answered.
    pub fn owes_bye(&self) -> bool {
        self.awaits_bye || self.running > 0
    }

    /// Whether the server has replied to a call.
    pub fn has_replied(&self) -> bool {
        self.has_replied
    }

    /// Those who still wait, when the connection has ended.
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

/// Why a connection couldn't be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The server doesn't serve it.
    Refused(Fault),
    /// The server broke the rules.
    Violation(Violation),
}

impl From<Violation> for OpenError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Where a body of this size goes; `None` when the shared memory has no room for it now.
#[inline]
pub(crate) fn place(size: BodySize, outgoing: &mut Ranges) -> Option<Body> {
    let len = size.len as u32;
    match size.len {
        0..=Limits::INLINE_BYTES_MAX => Some(Body::Inline { len }),
        _ => Some(Body::Shared { offset: outgoing.take(size)?, len }),
    }
}

/// Compares the handles that came with those that the header says.
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
