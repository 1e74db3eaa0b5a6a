//! The client's side of a connection: calls of any number of threads over one socket.
//!
//! A call does its I/O on the thread that makes it. Of several threads that wait for replies one
//! receives, for all, and the others sleep; it passes that role on when its own reply has come, or
//! when it gives up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};
use std::{io, thread};

use syshandle_os::{BorrowedHandle, Credentials, Waitable, Waited, try_take};
use syshandle_wire::{
    Body, Busy, ClientEnd, Fault, FrameKind, FromServer, Header, Limits, Payload, Status, Violation,
};

use crate::arrived::Arrived;
use crate::buffer::{FrameBuffer, take_bytes};
use crate::client::cancel::Cancel;
use crate::link::{Link, NoBody, Range};
use crate::spin::Spin;
use crate::{Error, ErrorKind, Result};

/// A connection that was greeted.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Link,
    server: Credentials,
    limits: Limits,
    spin: Spin,
    /// For objects that the server signals.
    spin_beside: Spin,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    end: ClientEnd<Arc<Waiting>>,
    /// Somebody receives.
    receiving: bool,
    /// Those who sleep until somebody wakes them.
    asleep: Vec<Thread>,
    /// Those whose call can't start yet, in the order in which they came.
    queue: VecDeque<Thread>,
    /// The server was told that shared memory is short.
    asked: bool,
    ended: Option<Ended>,
}

/// A call that waits for its reply; where the one who receives puts it.
#[derive(Debug)]
pub(super) struct Waiting {
    thread: Thread,
    reply: Mutex<Option<Reply>>,
}

/// A reply, still in bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) body: ReplyBody,
    pub(crate) handles: Arrived,
    pub(crate) handles_lost: bool,
}

/// Where the bytes of a reply are.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Copy(Vec<u8>),
    /// In the server's memory: to be given back, by [`Connection::has_read`], once it was read.
    Shared(Body),
}

/// Why there will be no more replies.
#[derive(Clone, Debug)]
enum Ended {
    /// The server said good-bye: what it hadn't answered it didn't run.
    Closed,
    /// The server is gone without a word.
    Died,
    /// The server doesn't serve this connection.
    Refused(Fault),
    /// The server broke the rules, so we ended it.
    Broken(Violation),
    /// The system failed us.
    Failed(io::ErrorKind),
}

/// How long a call waits, and what ends it before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'c> {
    /// When it was looked at the clock last: it takes as long as a lock, so once is enough for all
    /// that is done before the first wait.
    pub(crate) now: Instant,
    pub(crate) deadline: Instant,
    pub(crate) cancel: Option<&'c Cancel>,
}

impl Connection {
    /// A connection that was greeted and has answered.
    pub(super) fn new(link: Link, server: Credentials, end: ClientEnd<Arc<Waiting>>) -> Self {
        let limits = end.limits();
        let state = State {
            end,
            receiving: false,
            asleep: Vec::new(),
            queue: VecDeque::new(),
            asked: false,
            ended: None,
        };
        let (spin, spin_beside) = (Spin::default(), Spin::default());
        Self { link, server, limits, spin, spin_beside, state: Mutex::new(state) }
    }

    /// Who the server is, from the kernel.
    pub(crate) fn server(&self) -> Credentials {
        self.server
    }

    /// What the server takes.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Makes a call: sends it and waits for its reply.
    pub(crate) fn call(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        patience: Patience<'_>,
    ) -> Result<Reply> {
        patience.check_at(patience.now)?;
        let waiting = Waiting::of_this_thread();
        let header = self.start(method, body.len(), handles.len(), &waiting, patience)?;
        if let Err(error) = self.send(&header, body, handles, patience) {
            self.state().end.unsent(&header);
            return Err(error);
        }
        self.wait(&waiting, patience, |state, _| {
            if let Some(reply) = waiting.take_reply() {
                return Some(Ok(reply));
            }
            state.ended.as_ref().map(|ended| Err(ended.to_error(true)))
        })
        .map_err(|gave_up| {
            self.cancel(header.call);
            // It may have come in the last moment; nothing comes after the cancel.
            if let Some(Reply { body: ReplyBody::Shared(body), .. }) = waiting.take_reply() {
                self.has_read(body);
            }
            gave_up.maybe_ran()
        })?
    }

    /// The bytes of a reply in the server's memory.
    pub(crate) fn range(&self, body: Body) -> (Range<'_>, usize) {
        self.link.range(body)
    }

    /// Gives the range of a reply back.
    pub(crate) fn has_read(&self, body: Body) {
        let mut state = self.state();
        let release = state.end.has_read(body);
        self.release(&mut state, release);
    }

    /// Waits for an object of the server's: ends at once when the server is gone.
    pub(crate) fn wait_for(&self, object: &dyn Waitable, patience: Patience<'_>) -> Result<()> {
        let mut looking = self.spin_beside.start(self.link.peer());
        while looking.again() {
            if try_take(object).map_err(failed)? {
                looking.came();
                return Ok(());
            }
        }
        let cancel = patience.cancel.map(Cancel::event);
        let waited = self.link.socket.wait_beside(object, cancel, patience.deadline);
        match waited.map_err(failed)? {
            Waited::Taken => Ok(()),
            Waited::TimedOut => Err(Error::new(ErrorKind::TimedOut, "the time was over")),
            Waited::Cancelled => Err(Error::new(ErrorKind::Cancelled, "the wait was cancelled")),
            Waited::PeerGone => Err(self.last_words().to_error(true)),
        }
    }

    /// Starts a call, when one more may run.
    fn start(
        &self,
        method: u32,
        body_len: usize,
        handles: usize,
        waiting: &Arc<Waiting>,
        patience: Patience<'_>,
    ) -> Result<Header> {
        // More handles than that were refused when they were encoded.
        let handles = u16::try_from(handles).unwrap_or(u16::MAX);
        let large = body_len > Limits::INLINE_BYTES_MAX;
        let mut busy = None;
        loop {
            let step = self.wait(waiting, patience, |state, patience| {
                if let Some(ended) = &state.ended {
                    return Some(Step::Ended(ended.to_error(false)));
                }
                // Large ones start in order, or smaller ones would keep the largest for ever.
                let first = state.queue.front().is_none_or(|first| waiting.is(first));
                let started = match large && !first {
                    true => Err(Busy::Shared),
                    false => {
                        let timeout_ms = patience.left_ms();
                        state.end.start(method, handles, body_len, timeout_ms, waiting.clone())
                    }
                };
                match started {
                    Ok(header) => return Some(Step::Started(header)),
                    Err(reason) => busy = Some(reason),
                }
                if !state.queue.iter().any(|queued| waiting.is(queued)) {
                    state.queue.push_back(waiting.thread.clone());
                }
                (busy == Some(Busy::Shared) && !std::mem::replace(&mut state.asked, true))
                    .then_some(Step::Ask)
            });
            let result = match step {
                Ok(Step::Ask) => {
                    let ask = Header::new(FrameKind::Release);
                    match self.send(&ask, &Payload::default(), &[], patience) {
                        Ok(()) => continue,
                        Err(error) => {
                            self.state().asked = false;
                            Err(error)
                        }
                    }
                }
                Ok(Step::Started(header)) => Ok(header),
                Ok(Step::Ended(error)) => Err(error),
                Err(error) => Err(self.could_not_start(error, busy)),
            };
            if busy.is_some() {
                self.leave_queue(waiting);
            }
            return result;
        }
    }

    /// The error of a call that gave up before it started, with the limit that it waited for.
    fn could_not_start(&self, error: Error, busy: Option<Busy>) -> Error {
        let what = match busy {
            _ if error.kind() != ErrorKind::TimedOut => return error,
            None => return error,
            Some(Busy::Calls) => {
                format!("one of the {} calls that the server takes ended", self.limits.calls_max)
            }
            Some(Busy::Shared) => "there was room in the shared memory".into(),
        };
        Error::new(ErrorKind::TimedOut, format!("the time was over before {what}"))
    }

    /// This call has started or given up: the next one may start now.
    fn leave_queue(&self, waiting: &Waiting) {
        let mut state = self.state();
        state.queue.retain(|queued| !waiting.is(queued));
        if let Some(next) = state.queue.front() {
            next.unpark();
        }
    }

    /// Sends a frame; receives meanwhile, when the server must be heard before it reads on.
    fn send(
        &self,
        header: &Header,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        mut patience: Patience<'_>,
    ) -> Result<()> {
        loop {
            let error = match self.link.send(header, body, handles) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::WouldBlock => {
                    patience.check()?;
                    let waited = self.link.socket.wait_writable(patience.deadline);
                    waited.map_err(failed)?;
                    self.receive_if_nobody_does();
                }
                io::ErrorKind::PermissionDenied => {
                    let text = "the server doesn't accept handles";
                    return Err(Error::new(ErrorKind::NotAllowed, text).because(error));
                }
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    return Err(self.last_words().to_error(false));
                }
                _ => {
                    let text = "the call can't be sent";
                    return Err(Error::new(ErrorKind::System, text).because(error));
                }
            }
        }
    }

    /// Waits until `done` says so, receiving for all who wait or asleep until something happened.
    ///
    /// # Errors
    /// The time was over, or the call was cancelled.
    fn wait<T>(
        &self,
        waiting: &Waiting,
        mut patience: Patience<'_>,
        mut done: impl FnMut(&mut State, &Patience<'_>) -> Option<T>,
    ) -> Result<T> {
        let _registered = patience.cancel.map(|cancel| cancel.register(&waiting.thread));
        let mut state = self.state();
        let result = loop {
            if let Some(value) = done(&mut state, &patience) {
                break Ok(value);
            }
            if let Err(error) = patience.check_at(patience.now) {
                break Err(error);
            }
            if state.receiving {
                state.asleep.push(waiting.thread.clone());
                drop(state);
                thread::park_timeout(patience.left());
                patience.now = Instant::now();
                state = self.state();
                state.asleep.retain(|thread| thread.id() != waiting.thread.id());
            } else {
                state.receiving = true;
                drop(state);
                let received = self.receive(&mut patience);
                state = self.state();
                state.receiving = false;
                self.take_in(&mut state, received);
            }
        };
        // Whoever is left may have to receive now, or may start the call that it couldn't.
        if !state.receiving
            && let Some(next) = state.asleep.pop()
        {
            next.unpark();
        }
        result
    }

    /// Receives one frame, when one is there and nobody else is at it; `false` when none is there.
    fn receive_if_nobody_does(&self) -> bool {
        let mut state = self.state();
        if state.receiving {
            return true;
        }
        let now = Instant::now();
        let received = self.receive(&mut Patience { now, deadline: now, cancel: None });
        let something = !matches!(received, Incoming::NotYet);
        self.take_in(&mut state, received);
        something
    }

    /// The server is gone: what it said before tells why.
    fn last_words(&self) -> Ended {
        loop {
            if let Some(ended) = &self.state().ended {
                return ended.clone();
            }
            if !self.receive_if_nobody_does() {
                // It says no more, not even that it ended.
                return Ended::Died;
            }
            thread::yield_now();
        }
    }

    /// Waits for one frame, for as long as there is patience.
    fn receive(&self, patience: &mut Patience<'_>) -> Incoming {
        let (mut frame, mut handles) = (FrameBuffer::take(), Arrived::new());
        let mut looking = self.spin.start(self.link.peer());
        let mut looks = !patience.left().is_zero() && looking.again();
        loop {
            // One system call that waits, where that can't miss a cancel or the deadline.
            let left = patience.left();
            let waits = !looks && patience.cancel.is_none() && left > KERNEL_WAIT_MIN;
            let kernel_waits = waits.then(|| left.saturating_sub(KERNEL_WAIT_LATE));
            let received = self.link.receive(&mut frame, &mut handles, kernel_waits);
            if waits {
                patience.now = Instant::now();
            }
            match received {
                Ok(received) if received.len == 0 => return Incoming::Nothing(Ended::Died),
                Ok(received) if received.bytes_truncated => {
                    return Incoming::Nothing(Ended::Broken(Violation::TooLong));
                }
                Ok(received) => {
                    if looks {
                        looking.came();
                    }
                    let truncated = received.handles_truncated;
                    return Incoming::Frame { frame, len: received.len, handles, truncated };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && looks => {
                    looks = looking.again();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = &self.link.socket;
                    let waited = match patience.cancel {
                        Some(cancel) => socket.wait_readable_or(cancel.event(), patience.deadline),
                        None => socket.wait_readable(patience.deadline).map(drop),
                    };
                    if let Err(error) = waited {
                        return Incoming::Nothing(Ended::Failed(error.kind()));
                    }
                    if patience.check().is_err() {
                        return Incoming::NotYet;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The server went with messages of ours unread: its own are still to come.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Incoming::Nothing(Ended::Failed(error.kind())),
            }
        }
    }

    /// Gives what was received to whom it is for.
    fn take_in(&self, state: &mut State, incoming: Incoming) {
        let ended = match incoming {
            Incoming::NotYet => return,
            Incoming::Nothing(ended) => ended,
            Incoming::Frame { frame, len, handles, truncated } => {
                match self.take_frame(state, &frame[..len], handles, truncated) {
                    // There may be room for one more call.
                    Ok(None) => return state.queue.iter().for_each(Thread::unpark),
                    Ok(Some(ended)) => ended,
                    Err(violation) => Ended::Broken(violation),
                }
            }
        };
        if state.ended.is_none() {
            tracing::debug!(?ended, server = self.server.pid, "the connection has ended");
            state.ended = Some(ended);
        }
        state.end.into_waiters().for_each(drop);
        for thread in state.asleep.drain(..) {
            thread.unpark();
        }
        state.queue.clear();
    }

    fn take_frame(
        &self,
        state: &mut State,
        frame: &[u8],
        handles: Arrived,
        truncated: bool,
    ) -> Result<Option<Ended>, Violation> {
        let (event, inline) = state.end.receive(frame, handles.len(), truncated)?;
        match event {
            FromServer::Reply { waiter, status, body, handles_lost } => {
                let (body, bytes_lost) = match (self.link.check_body(body), body) {
                    (Ok(()), Body::Shared { .. }) => (ReplyBody::Shared(body), false),
                    (Ok(()), Body::Inline { .. }) => {
                        let mut copy = take_bytes();
                        copy.extend_from_slice(inline);
                        (ReplyBody::Copy(copy), false)
                    }
                    (Err(NoBody::Lost), _) => {
                        let release = state.end.has_read(body);
                        self.release(state, release);
                        (ReplyBody::Copy(Vec::new()), true)
                    }
                    (Err(NoBody::Violation(violation)), _) => return Err(violation),
                };
                let handles_lost = handles_lost || bytes_lost;
                waiter.give(Reply { status, body, handles, handles_lost });
            }
            FromServer::Late(body) => {
                let release = state.end.has_read(body);
                self.release(state, release);
            }
            FromServer::Arena => self.link.set_incoming(&handles)?,
            FromServer::ArenaLost => self.link.send_outgoing_again(),
            FromServer::Asked(release) => self.release(state, release),
            FromServer::Nothing => {}
            FromServer::Bye => return Ok(Some(Ended::Closed)),
            FromServer::Refused => {
                let fault = Fault::read(inline).map_err(|_| Violation::NotOurs)?;
                return Ok(Some(Ended::Refused(fault)));
            }
        }
        Ok(None)
    }

    /// Gives ranges of the server's memory back, where that is not to wait for the next call.
    fn release(&self, state: &mut State, header: Option<Header>) {
        if let Some(header) = header
            && self.link.send_header(&header).is_err()
        {
            // The server doesn't read now: they go with the next call.
            state.end.unreleased(&header);
        }
    }

    /// Tells the server that nobody waits for a call any more.
    fn cancel(&self, call: u32) {
        let header = self.state().end.cancel(call);
        if let Some(header) = header {
            // When there is no room for it, the server learns it from the call's own deadline.
            let _ = self.link.send_header(&header);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that is done says so: what the server does for it goes on.
impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.link.send_header(&Header::new(FrameKind::Bye));
    }
}

/// What came from the socket.
enum Incoming {
    Frame { frame: FrameBuffer, len: usize, handles: Arrived, truncated: bool },
    Nothing(Ended),
    NotYet,
}

impl Waiting {
    /// The one of this thread: a thread waits for one call at a time.
    fn of_this_thread() -> Arc<Self> {
        thread_local! {
            static WAITING: Arc<Waiting> =
                Arc::new(Waiting { thread: thread::current(), reply: Mutex::new(None) });
        }
        WAITING.with(Arc::clone)
    }

    fn give(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
        self.thread.unpark();
    }

    fn is(&self, thread: &Thread) -> bool {
        self.thread.id() == thread.id()
    }

    fn take_reply(&self) -> Option<Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Patience<'_> {
    /// How long it still lasted when it was looked at the clock last.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.now)
    }

    /// The same in milliseconds, rounded up.
    fn left_ms(&self) -> u32 {
        u32::try_from(self.left().as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }

    /// Whether it is over.
    fn check(&mut self) -> Result<()> {
        self.now = Instant::now();
        self.check_at(self.now)
    }

    /// Whether it was over at this time, or the call was cancelled.
    fn check_at(&self, now: Instant) -> Result<()> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(Error::new(ErrorKind::Cancelled, "the call was cancelled"));
        }
        if now >= self.deadline {
            return Err(Error::new(ErrorKind::TimedOut, "the server did not answer in time"));
        }
        Ok(())
    }
}

impl Ended {
    /// The error of a call that was sent, or not.
    fn to_error(&self, sent: bool) -> Error {
        let error = match self {
            Self::Closed => {
                // It answers all that it runs before it goes.
                return Error::new(ErrorKind::Disconnected, "the server has ended");
            }
            // What it says of the connection, it may say while a call runs.
            Self::Refused(fault) if sent => return Error::from_fault(fault),
            Self::Refused(fault) => return Error::from_fault(fault).did_not_run(),
            Self::Died => Error::new(ErrorKind::Disconnected, "the server died"),
            Self::Broken(violation) => Error::from(*violation),
            Self::Failed(kind) => Error::new(ErrorKind::System, "the connection failed")
                .because(io::Error::from(*kind)),
        };
        if sent { error.maybe_ran() } else { error }
    }
}

/// A shorter wait is left to `poll`, which is exact.
pub(super) const KERNEL_WAIT_MIN: Duration = Duration::from_millis(100);

/// The kernel's own wait ends some ticks late: so it is begun for less, and `poll` waits the rest.
pub(super) const KERNEL_WAIT_LATE: Duration = Duration::from_millis(20);

/// What became of an attempt to start a call.
enum Step {
    Started(Header),
    /// The server is to be asked for shared memory first.
    Ask,
    Ended(Error),
}

/// The system failed us, before anything was asked of the server.
pub(super) fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::System, "the connection failed").because(error)
}
