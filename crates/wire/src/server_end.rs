//! The server's end of a connection: which calls run, and what a frame means.

use crate::client_end::{check_body, check_handles, give_back, place};
use crate::due::Due;
use crate::{
    Body, BodySize, Fault, FrameKind, Greeting, Header, Hello, Limits, Ranges, Status, Violation,
};

/// The server's end of a connection.
///
/// `T` is what the driver keeps of a call that runs: what a cancelled one is told by.
#[derive(Debug)]
pub struct ServerEnd<T> {
    limits: Limits,
    phase: Phase,
    running: Vec<(u32, T)>,
    outgoing: Ranges,
    due: Due,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting was sent, the hello hasn't come.
    Greeted,
    /// Calls may come.
    Open,
    /// The client is done.
    Closed,
}

/// What a frame from the client means.
#[derive(Debug)]
pub enum FromClient<'a, T> {
    /// The client wants an object.
    Hello(Hello),
    /// A call to run. The driver tells [`ServerEnd::started`].
    Call {
        /// Its id.
        call: u32,
        /// The number of the method.
        method: u32,
        /// How long the caller waits, in milliseconds.
        timeout_ms: u32,
        /// Where the bytes of the arguments are.
        body: Body,
        /// Its handles were lost on the way.
        handles_lost: bool,
    },
    /// Nobody waits for this call any more.
    Cancel(&'a T),
    /// The client is done.
    Bye,
    /// The handle is the client's shared memory; it may have been lost on the way.
    Arena,
    /// The client lost the handle of the server's shared memory: it is to be sent once more.
    ArenaLost,
    /// The client is short of shared memory: the frame to send gives back what is due.
    Asked(Option<Header>),
    /// Ranges came back, or a call was cancelled that had ended.
    Nothing,
}

impl<T> ServerEnd<T> {
    /// The end of a connection that was greeted.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Greeted,
            running: Vec::new(),
            outgoing: Ranges::default(),
            due: Due::of_server(),
        }
    }

    /// The frame that greets a client.
    pub fn greeting(greeting: &Greeting) -> (Header, Vec<u8>) {
        frame(FrameKind::Greeting, greeting.write())
    }

    /// The frame that says that a connection isn't served.
    pub fn refused(fault: &Fault) -> (Header, Vec<u8>) {
        frame(FrameKind::Refused, fault.write())
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
    ) -> Result<(FromClient<'_, T>, &'f [u8]), Violation> {
        let (header, body) = Header::read(frame)?;
        check_handles(&header, handles, handles_truncated)?;
        give_back(&mut self.outgoing, &header)?;
        let event = match (self.phase, header.kind) {
            (Phase::Greeted, FrameKind::Hello) => {
                self.phase = Phase::Open;
                FromClient::Hello(Hello::read(body)?)
            }
            (Phase::Open, FrameKind::Call) => {
                self.check_call(&header)?;
                FromClient::Call {
                    call: header.call,
                    method: header.code,
                    timeout_ms: header.timeout_ms,
                    body: header.body,
                    handles_lost: handles_truncated,
                }
            }
            (Phase::Open, FrameKind::Cancel) => {
                match self.running.iter().find(|(id, _)| *id == header.call) {
                    Some((_, running)) => FromClient::Cancel(running),
                    None => FromClient::Nothing,
                }
            }
            (Phase::Open, FrameKind::Arena) if header.handles == 1 => FromClient::Arena,
            (Phase::Open, FrameKind::Arena) => FromClient::ArenaLost,
            (Phase::Open, FrameKind::Release) if header.asks() => {
                FromClient::Asked(self.due.asked())
            }
            (Phase::Open, FrameKind::Release) => FromClient::Nothing,
            (Phase::Greeted | Phase::Open, FrameKind::Bye) => {
                self.phase = Phase::Closed;
                FromClient::Bye
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

    /// A call runs: from now on it counts, until its reply.
    pub fn started(&mut self, call: u32, running: T) {
        self.running.push((call, running));
    }

    /// The ranges of the shared memory that this side writes.
    pub fn outgoing(&mut self) -> &mut Ranges {
        &mut self.outgoing
    }

    /// A range of the client's shared memory was read: it is given back with the next frame, or
    /// with the one that this returns when there is much to give back.
    pub fn has_read(&mut self, body: Body) -> Option<Header> {
        self.due.has_read(body)
    }

    /// A frame that gives something back couldn't be sent: it goes with the next one.
    pub fn unreleased(&mut self, header: &Header) {
        self.due.put_back(&header.releases);
    }

    /// Ends a call: returns the header of its reply. A body that is too large to go in the frame
    /// has a range of shared memory, where the driver puts it before it sends.
    ///
    /// `None` when the shared memory has no room for it before another range comes back.
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
        let releases = self.due.take();
        Some(Header {
            handles,
            call,
            code: status as u32,
            body,
            releases,
            ..Header::new(FrameKind::Reply)
        })
    }

    /// A reply couldn't be sent as it is: returns the header of one that says so in its stead, in
    /// the frame and without handles.
    pub fn reply_instead(&mut self, unsent: &Header, status: Status, body_len: usize) -> Header {
        if let Body::Shared { offset, .. } = unsent.body {
            // It was taken for this reply and nobody has heard of it.
            let _ = self.outgoing.give_back(offset);
        }
        let body = Body::Inline { len: body_len as u32 };
        Header { handles: 0, code: status as u32, body, ..unsent.clone() }
    }

    /// What was kept of the calls that still run.
    pub fn running(&self) -> impl Iterator<Item = &T> {
        self.running.iter().map(|(_, running)| running)
    }

    /// Whether no call runs.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

fn frame(kind: FrameKind, body: Vec<u8>) -> (Header, Vec<u8>) {
    (Header { body: Body::Inline { len: body.len() as u32 }, ..Header::new(kind) }, body)
}
