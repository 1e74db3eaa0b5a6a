//! The server's end of a connection: the running calls, and the meaning of received frames.

use syshandle_types::{BodySize, Limits};

use crate::client_end::{check_body, check_handles, give_back, place};
use crate::pending_releases::PendingReleases;
use crate::{Body, Fault, FrameKind, Greeting, Header, Hello, Ranges, Status, Violation};

/// The server's end of a connection.
///
/// `T` is the driver's data for a running call, through which a call is told that it was cancelled.
#[derive(Debug)]
pub struct ServerEnd<T> {
    limits: Limits,
    phase: Phase,
    running: Vec<(u32, T)>,
    outgoing: Ranges,
    pending_releases: PendingReleases,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting was sent; the hello has not arrived.
    Greeted,
    /// Calls may arrive.
    Open,
    /// The client has closed the connection.
    Closed,
}

/// An event that a frame from the client causes.
#[derive(Debug)]
pub enum ServerEndEvent<'a, T> {
    /// The client requests an object.
    Hello(Hello),
    /// A call to run. The driver reports it with [`ServerEnd::started`].
    Call {
        /// Id of the call.
        call: u32,
        /// Number of the method.
        method: u32,
        /// Timeout of the caller, in milliseconds.
        timeout_ms: u32,
        /// Location of the arguments.
        body: Body,
        /// Whether handles of the call were lost in transit.
        handles_lost: bool,
    },
    /// The client cancelled the call.
    Cancel(&'a T),
    /// The client closes the connection.
    Bye,
    /// The handle of the frame is the client's shared memory. The handle may have been lost in
    /// transit.
    Arena,
    /// The client did not receive the handle of the server's shared memory. The driver must send it
    /// again.
    ArenaLost,
    /// The client is short of shared memory. The frame to send releases all ranges that were read.
    ReleaseRequest(Option<Header>),
    /// Nothing to do: the frame released ranges, or cancelled a call that had ended.
    Nothing,
}

impl<T> ServerEnd<T> {
    /// Creates the end of a connection whose greeting was sent.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Greeted,
            running: Vec::new(),
            outgoing: Ranges::default(),
            pending_releases: PendingReleases::of_server(),
        }
    }

    /// Returns the frame that greets a client.
    pub fn greeting(greeting: &Greeting) -> (Header, Vec<u8>) {
        frame(FrameKind::Greeting, greeting.write())
    }

    /// Returns the frame that refuses a connection.
    pub fn refused(fault: &Fault) -> (Header, Vec<u8>) {
        frame(FrameKind::Refused, fault.write())
    }

    /// Processes a frame that arrived with `handles` handles. The number is lower than the one sent
    /// if the kernel truncated them.
    ///
    /// # Errors
    /// [`Violation`]; the connection must be closed.
    #[inline]
    pub fn receive<'f>(
        &mut self,
        frame: &'f [u8],
        handles: usize,
        handles_truncated: bool,
    ) -> Result<(ServerEndEvent<'_, T>, &'f [u8]), Violation> {
        let (header, body) = Header::read(frame)?;
        check_handles(&header, handles, handles_truncated)?;
        give_back(&mut self.outgoing, &header)?;
        let event = match (self.phase, header.kind) {
            (Phase::Greeted, FrameKind::Hello) => {
                self.phase = Phase::Open;
                ServerEndEvent::Hello(Hello::read(body)?)
            }
            (Phase::Open, FrameKind::Call) => {
                self.check_call(&header)?;
                ServerEndEvent::Call {
                    call: header.call,
                    method: header.code,
                    timeout_ms: header.timeout_ms,
                    body: header.body,
                    handles_lost: handles_truncated,
                }
            }
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

    fn check_call(&self, header: &Header) -> Result<(), Violation> {
        check_body(header.body, self.limits)?;
        match () {
            () if header.handles > self.limits.handles_max => Err(Violation::TooManyHandles),
            () if self.running.len() >= usize::from(self.limits.calls_max) => {
                Err(Violation::TooManyCalls)
            }
            () if self.running.iter().any(|(id, _)| *id == header.call) => {
                Err(Violation::CallTwice(header.call))
            }
            () => Ok(()),
        }
    }

    /// Records that a call runs. It counts until its reply.
    pub fn started(&mut self, call: u32, running: T) {
        self.running.push((call, running));
    }

    /// Returns the allocator of the shared memory that the server writes.
    pub fn outgoing(&mut self) -> &mut Ranges {
        &mut self.outgoing
    }

    /// Records that a range of the client's shared memory was read. The range is released by the
    /// next frame, or by the returned one if much is due.
    pub fn has_read(&mut self, body: Body) -> Option<Header> {
        self.pending_releases.has_read(body)
    }

    /// Takes back the releases of a frame that could not be sent. They go with the next frame.
    pub fn unreleased(&mut self, header: &Header) {
        self.pending_releases.put_back(&header.releases);
    }

    /// Ends a call and returns the header of its reply. For a body that is too large for the frame,
    /// the header names a range of shared memory, to which the driver copies the body before it
    /// sends the frame.
    ///
    /// Returns `None` if the shared memory has no room for the body until the client releases a
    /// range.
    #[inline]
    pub fn reply(
        &mut self,
        call: u32,
        status: Status,
        handles: u16,
        body: impl Into<BodySize>,
    ) -> Option<Header> {
        let body = place(body.into(), &mut self.outgoing)?;
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
            ..Header::new(FrameKind::Reply)
        })
    }

    /// Replaces a reply that couldn't be sent. Returns the header of the replacement, which has its
    /// body in the frame and no handles.
    pub fn reply_instead(&mut self, unsent: &Header, status: Status, body_len: usize) -> Header {
        if let Body::Shared { offset, .. } = unsent.body {
            // The range was allocated for this reply, and the client has not learned of it.
            let _ = self.outgoing.give_back(offset);
        }
        let body = Body::Inline { len: body_len as u32 };
        Header { handles: 0, code: status as u32, body, ..unsent.clone() }
    }

    /// Returns the driver's data for the calls that still run.
    pub fn running(&self) -> impl Iterator<Item = &T> {
        self.running.iter().map(|(_, running)| running)
    }

    /// Returns whether no call runs.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

fn frame(kind: FrameKind, body: Vec<u8>) -> (Header, Vec<u8>) {
    (Header { body: Body::Inline { len: body.len() as u32 }, ..Header::new(kind) }, body)
}
