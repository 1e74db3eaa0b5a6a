//! The server's end of a connection. It keeps track of running calls and interprets received
//! frames.

use syshandle_types::{BodySize, Limits};

use crate::client_end::{check_body, check_handles, give_back, place};
use crate::one_way::ReceivedCalls;
use crate::pending_releases::PendingReleases;
use crate::{
    Body, Entries, Fault, Features, FrameKind, Greeting, Header, Hello, MessageEntries, Ranges,
    Status, Violation,
};

/// The server's end of a connection.
///
/// `T` is the driver's data for a running call, by which the driver can tell the call that it was
/// cancelled.
#[derive(Debug)]
pub struct ServerEnd<T> {
    limits: Limits,
    /// The features in effect. Until the hello, these are the features in the greeting.
    features: Features,
    phase: Phase,
    running: Vec<(u32, T)>,
    one_way: ReceivedCalls<T>,
    outgoing: Ranges,
    pending_releases: PendingReleases,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting was sent, and the hello has not arrived.
    Greeted,
    /// Calls are accepted.
    Open,
    /// The client has closed the connection.
    Closed,
}

/// An event that a frame from the client causes.
#[derive(Debug)]
pub enum ServerEndEvent<'a, T> {
    /// The client requests an object, or an interface of an existing one.
    Hello(Hello),
    /// A call to run. When it starts, the driver calls [`ServerEnd::started`], or
    /// [`ServerEnd::started_one_way`].
    Call {
        /// ID of the call.
        call: u32,
        /// Number of the object; 0 for the object of the connection.
        object: u32,
        /// Number of the method.
        method: u32,
        /// Whether the call has no reply.
        one_way: bool,
        /// The caller's timeout in milliseconds.
        timeout_ms: u32,
        /// Location of the arguments.
        body: Body,
        /// The table of what the arguments refer to.
        entries: Entries,
        /// Whether handles of the call were lost in transit.
        handles_lost: bool,
    },
    /// The client cancelled the call.
    Cancel(&'a T),
    /// A frame of a stream. The driver passes it to the streams of the connection.
    Stream(Header),
    /// The client gives numbers of objects back. The body of the frame contains them.
    ReleaseObjects,
    /// Slots of registered handles. The body of the frame contains what happens to them.
    Slots,
    /// The client is closing the connection.
    Bye,
    /// The client's shared memory has arrived as the handle of the frame. The handle may have been
    /// lost in transit.
    Arena,
    /// The client did not receive the handle of the server's shared memory. The driver must send
    /// the handle again.
    ArenaLost,
    /// The client needs free ranges of its shared memory. The driver must send the contained frame,
    /// which releases all ranges that were read.
    ReleaseRequest(Option<Header>),
    /// The frame only released ranges, or cancelled a call that had already ended. The driver has
    /// nothing to do.
    Nothing,
}

impl<T> ServerEnd<T> {
    /// Creates the server's end after a greeting with these limits and features was sent.
    pub fn new(limits: Limits, features: Features) -> Self {
        Self {
            limits,
            features,
            phase: Phase::Greeted,
            running: Vec::new(),
            one_way: ReceivedCalls::default(),
            outgoing: Ranges::default(),
            pending_releases: PendingReleases::of_server(),
        }
    }

    /// Returns the server's first frame, which greets a client.
    pub fn greeting(greeting: &Greeting) -> (Header, Vec<u8>) {
        frame(FrameKind::Greeting, greeting.write())
    }

    /// Returns the frame that rejects a connection.
    pub fn refused(fault: &Fault) -> (Header, Vec<u8>) {
        frame(FrameKind::Refused, fault.write())
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
    ) -> Result<(ServerEndEvent<'_, T>, &'f [u8]), Violation> {
        let (header, body) = Header::read(frame)?;
        header.check_features(self.features)?;
        check_handles(&header, handles, handles_truncated)?;
        give_back(&mut self.outgoing, &header)?;
        let event = match (self.phase, header.kind) {
            (Phase::Greeted, FrameKind::Hello) => {
                let hello = Hello::read(body)?;
                self.phase = Phase::Open;
                self.features = self.features.common(hello.features);
                ServerEndEvent::Hello(hello)
            }
            (Phase::Open, FrameKind::Call) => {
                self.check_call(&header)?;
                ServerEndEvent::Call {
                    call: header.call,
                    object: header.object,
                    method: header.code,
                    one_way: header.one_way,
                    timeout_ms: header.timeout_ms,
                    body: header.body,
                    entries: header.entries,
                    handles_lost: handles_truncated,
                }
            }
            (
                Phase::Open,
                FrameKind::Item | FrameKind::Credit | FrameKind::End | FrameKind::Stop,
            ) => ServerEndEvent::Stream(header),
            (Phase::Open, FrameKind::ReleaseObjects) => ServerEndEvent::ReleaseObjects,
            (Phase::Open, FrameKind::Slots) => ServerEndEvent::Slots,
            (Phase::Open, FrameKind::Cancel) => {
                match self.running.iter().find(|(id, _)| *id == header.call) {
                    Some((_, running)) => ServerEndEvent::Cancel(running),
                    None => ServerEndEvent::Nothing,
                }
            }
            (Phase::Open, FrameKind::Arena) if header.handles == 1 => ServerEndEvent::Arena,
            (Phase::Open, FrameKind::Arena) => ServerEndEvent::ArenaLost,
            (Phase::Open, FrameKind::Release) if header.asks() => {
                ServerEndEvent::ReleaseRequest(self.pending_releases.release_at_once())
            }
            (Phase::Open, FrameKind::Release) => ServerEndEvent::Nothing,
            (Phase::Greeted | Phase::Open, FrameKind::Bye) => {
                self.phase = Phase::Closed;
                ServerEndEvent::Bye
            }
            (_, kind) => return Err(Violation::Unexpected(kind)),
        };
        Ok((event, body))
    }

    /// Returns the features that are in effect on the connection.
    #[inline]
    pub fn features(&self) -> Features {
        self.features
    }

    fn check_call(&self, header: &Header) -> Result<(), Violation> {
        check_body(header.body, self.limits)?;
        match () {
            () if header.handles > self.limits.handles_max => Err(Violation::TooManyHandles),
            () if self.places() >= usize::from(self.limits.calls_max) => {
                Err(Violation::TooManyCalls)
            }
            // The id of a one-way call only names it in an acknowledgement.
            () if header.one_way => Ok(()),
            () if self.running.iter().any(|(id, _)| *id == header.call) => {
                Err(Violation::CallTwice(header.call))
            }
            () => Ok(()),
        }
    }

    /// Records that a call has started. It counts as running until its reply.
    pub fn started(&mut self, call: u32, running: T) {
        self.running.push((call, running));
    }

    /// Records that a one-way call has started. Returns its number, for [`ServerEnd::end_one_way`].
    pub fn started_one_way(&mut self, running: T) -> u32 {
        self.one_way.started(running)
    }

    /// Records that a one-way call has ended.
    pub fn end_one_way(&mut self, number: u32) {
        self.one_way.ended(number);
    }

    /// Returns the frame that reports the failure of a one-way call, which has ended. Its body is
    /// the [`Fault`].
    pub fn one_way_failed(&mut self, call: u32, method: u32, body_len: usize) -> Header {
        let body = Body::Inline { len: body_len as u32 };
        Header { call, code: method, body, ..self.acknowledge() }
    }

    /// Returns a frame that acknowledges one-way calls, if it should not wait for the next reply:
    /// half of the calls in flight have ended, or the client can't start another call. With
    /// `at_once`, one call that has ended is enough.
    #[inline]
    pub fn acknowledgement(&mut self, at_once: bool) -> Option<Header> {
        let ended = self.one_way.unacknowledged();
        if ended == 0 {
            return None;
        }
        let limit = usize::from(self.limits.calls_max);
        let is_due = at_once || ended >= limit / 2 || self.places() >= limit;
        is_due.then(|| self.acknowledge())
    }

    fn acknowledge(&mut self) -> Header {
        let releases = self.pending_releases.take();
        Header {
            ended: self.one_way.acknowledge(),
            releases,
            ..Header::new(FrameKind::Acknowledge)
        }
    }

    /// Returns the number of calls that count as in flight: those without a reply, and one-way calls
    /// that were not acknowledged.
    #[inline]
    pub fn places(&self) -> usize {
        self.running.len() + self.one_way.places()
    }

    /// Returns whether the client has closed the connection in order.
    pub fn has_said_bye(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Returns the allocator of the shared memory that the server writes.
    pub fn outgoing(&mut self) -> &mut Ranges {
        &mut self.outgoing
    }

    /// Records that a range of the client's shared memory was read. The next frame releases the
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

    /// Ends a call and returns the header of its reply. If the body is too large for the frame, the
    /// header contains the offset of a range of shared memory. The driver must copy the body there
    /// before it sends the frame.
    ///
    /// Returns `None` if the body needs shared memory and none is free until the client releases a
    /// range.
    #[inline]
    pub fn reply(
        &mut self,
        call: u32,
        status: Status,
        entries: impl Into<MessageEntries>,
        body: impl Into<BodySize>,
    ) -> Option<Header> {
        let MessageEntries { handles, table } = entries.into();
        let body = place(body.into(), &table, &mut self.outgoing)?;
        if let Some(place) = self.running.iter().position(|(id, _)| *id == call) {
            self.running.swap_remove(place);
        }
        let releases = self.pending_releases.take();
        Some(Header {
            handles,
            call,
            code: status as u32,
            body,
            releases,
            entries: table,
            ended: self.one_way.acknowledge(),
            ..Header::new(FrameKind::Reply)
        })
    }

    /// Replaces a reply that could not be sent. Returns the header of the replacement, whose body
    /// is in the frame, and which has no handles.
    pub fn reply_instead(&mut self, unsent: &Header, status: Status, body_len: usize) -> Header {
        if let Body::Shared { offset, .. } = unsent.body {
            // The range was allocated for this reply, and the client does not know of it.
            let _ = self.outgoing.give_back(offset);
        }
        let body = Body::Inline { len: body_len as u32 };
        let entries = Entries::default();
        Header { handles: 0, entries, code: status as u32, body, ..unsent.clone() }
    }

    /// Returns the driver's data of all running calls.
    pub fn running(&self) -> impl Iterator<Item = &T> {
        self.running.iter().map(|(_, running)| running)
    }

    /// Returns the driver's data of all running one-way calls.
    pub fn running_one_way(&self) -> impl Iterator<Item = &T> {
        self.one_way.running()
    }

    /// Returns whether no call is running.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.one_way.running().next().is_none()
    }
}

fn frame(kind: FrameKind, body: Vec<u8>) -> (Header, Vec<u8>) {
    (Header { body: Body::Inline { len: body.len() as u32 }, ..Header::new(kind) }, body)
}
