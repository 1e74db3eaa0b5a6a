//! The server's side of a connection.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use syshandle_os::{Credentials, Interest, Ready, Received, Seqpacket};
use syshandle_wire::{
    Body, Fault, FrameKind, FromClient, Greeting, Guid, Header, Hello, ServerEnd, Violation,
};

use super::accept::refuse;
use super::activity::{Hold, What};
use super::arguments::Arguments;
use super::incoming::panic_text;
use super::reactor::{Reactor, Source, Stay};
use super::replies::Owed;
use super::sentinel::Post;
use super::session::Session;
use super::shares::{Part, Taken};
use super::slow::{SLOW, SlowMethods};
use super::timers::{Timer, TimerId};
use super::work::{CallState, Work};
use crate::Object;
use crate::arrived::Arrived;
use crate::buffer::FrameBuffer;
use crate::class::AnyInterface;
use crate::client::LIMITS;
use crate::link::{Link, NoBody, Range};
use crate::spin::Spin;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, MutexGuard, now};

/// The server's side of a connection: one client, one object, one interface.
pub(crate) struct Connection {
    pub(super) link: Link,
    pub(super) session: Arc<Session>,
    key: OnceLock<u64>,
    /// What a door leads to; a client of the listening socket says which class it wants.
    pub(super) object: OnceLock<Object>,
    pub(super) interface: OnceLock<Arc<dyn AnyInterface>>,
    hello_timer: OnceLock<TimerId>,
    spin: Spin,
    slow: SlowMethods,
    /// More had come when it was looked last.
    has_more: AtomicBool,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) end: ServerEnd<Arc<CallState>>,
    /// That of the last call, to be used again.
    last_call: Option<Arc<CallState>>,
    /// The post of the thread that receives; without one the poller watches the socket.
    pub(super) receiver: Option<u64>,
    /// Replies for which there was no room.
    pub(super) owed: VecDeque<Owed>,
    /// The client was told that shared memory is short.
    pub(super) asked: bool,
    pub(super) ended: bool,
    hold: Option<(Hold, Taken)>,
}

/// What came from the socket.
enum Frame {
    /// A call to run.
    Call(Work),
    /// Something else, which was acted on.
    Other,
    /// Nothing.
    None,
    /// The end.
    End,
}

impl Connection {
    /// Greets a client, and serves it from now on: the object, if there is one already.
    pub(crate) fn add(
        reactor: &Arc<Reactor>,
        socket: Seqpacket,
        client: Credentials,
        greeting: &Greeting,
        object: Option<Object>,
    ) -> io::Result<()> {
        let share = reactor.shares.of(client);
        let taken = match share.may_send_handles().and_then(|()| share.take(Part::Client, 1)) {
            Ok(taken) => taken,
            Err(limit) => {
                refuse(&socket, &Fault::Busy { limit: limit.into() });
                return Ok(());
            }
        };
        let session = Arc::new(Session::new(client, share));
        let state = State {
            end: ServerEnd::new(LIMITS),
            last_call: None,
            receiver: None,
            owed: VecDeque::new(),
            asked: false,
            ended: false,
            hold: Some((reactor.hold(What::Presence), taken)),
        };
        let connection = Arc::new(Self {
            link: Link::new(socket),
            session,
            key: OnceLock::new(),
            object: object.map(OnceLock::from).unwrap_or_default(),
            interface: OnceLock::new(),
            hello_timer: OnceLock::new(),
            spin: Spin::default(),
            slow: SlowMethods::default(),
            has_more: AtomicBool::new(true),
            state: Mutex::new(state),
        });
        let (header, body) = ServerEnd::<()>::greeting(greeting);
        connection.link.send(&header, &body.into(), &[])?;
        let key = reactor.add_source(
            |key| {
                let _ = connection.key.set(key);
                let timer = reactor.timers.set(now() + HELLO_TIMEOUT, Timer::Hello(key));
                let _ = connection.hello_timer.set(timer);
                Source::Connection(connection.clone())
            },
            |poller, key| poller.add(&connection.link.socket, key, Interest::OnceReadable),
        )?;
        tracing::debug!(key, pid = connection.session.client.pid, "a client has come");
        Ok(())
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn socket(&self) -> &Seqpacket {
        &self.link.socket
    }

    /// The process of the client.
    pub(crate) fn client_process(&self) -> io::Result<OwnedFd> {
        self.session.process(&self.link.socket)?.try_clone_to_owned()
    }

    /// The socket became ready: this thread receives from it, and runs what it receives, until
    /// nothing more comes soon.
    pub(crate) fn act(self: &Arc<Self>, reactor: &Arc<Reactor>, ready: Ready, post: &Arc<Post>) {
        let mut state = self.state();
        if state.receiver.is_some() || state.ended {
            return;
        }
        state.receiver = Some(post.number());
        drop(state);
        if ready.writable {
            self.pay(reactor);
        }
        post.take(self);
        let (mut turns, mut stay) = (0, None);
        let mut frame = self.receive(reactor, post, None);
        loop {
            match frame {
                Frame::Call(work) => {
                    let method = work.method;
                    let known_slow = self.slow.get(method).then(now);
                    if known_slow.is_some() {
                        reactor.about_to_run();
                        self.watch(reactor);
                    }
                    let running = post.start_running(reactor);
                    work.run(reactor);
                    drop(running);
                    if self.state().receiver != Some(post.number()) {
                        // It took long, and another thread receives now.
                        self.slow.set(method, known_slow.is_none_or(|at| now() - at >= SLOW));
                        return post.leave();
                    }
                }
                Frame::Other => {}
                Frame::None => break,
                Frame::End => return post.leave(),
            }
            turns += 1;
            frame = match reactor.another_waits() {
                true => self.receive_soon(reactor, post, &mut stay),
                // Nobody else is there for the other clients: it is their turn, unless more has
                // come from this one while its last frame was acted on.
                false if turns >= TURNS_MAX || !self.has_more.load(Ordering::Relaxed) => break,
                false => self.receive(reactor, post, None),
            };
            self.has_more.store(!matches!(frame, Frame::None), Ordering::Relaxed);
        }
        post.leave();
        self.watch(reactor);
    }

    /// Receives what comes within some milliseconds: looks for a moment, then sleeps. A client that
    /// calls again and again has a thread of its own in this way, which costs least; but there are
    /// no more such threads than cores.
    fn receive_soon<'r>(
        self: &Arc<Self>,
        reactor: &'r Arc<Reactor>,
        post: &Arc<Post>,
        stay: &mut Option<Stay<'r>>,
    ) -> Frame {
        let mut looking = self.spin.start(self.link.peer());
        while looking.again() {
            match self.receive(reactor, post, None) {
                Frame::None => {}
                frame => {
                    looking.came();
                    return frame;
                }
            }
        }
        match stay.take().or_else(|| reactor.stay()) {
            Some(kept) => *stay = Some(kept),
            None => return Frame::None,
        }
        self.receive(reactor, post, Some(STAY))
    }

    /// The method that this thread runs takes long: another one is to receive what comes meanwhile.
    /// `runs` says, under the lock, whether it still does.
    pub(crate) fn take_receiver_from(&self, reactor: &Reactor, post: u64, runs: impl Fn() -> bool) {
        let mut state = self.state();
        if state.receiver == Some(post) && runs() {
            state.receiver = None;
            self.watch_in(&state, reactor);
        }
    }

    /// Nobody receives: has the poller watch the socket.
    fn watch(&self, reactor: &Reactor) {
        let mut state = self.state();
        state.receiver = None;
        self.watch_in(&state, reactor);
    }

    pub(super) fn watch_in(&self, state: &State, reactor: &Reactor) {
        // A reply that waits for shared memory waits for a frame; others wait for room.
        let waits_for_room = |owed: &Owed| owed.header.is_some() || !state.asked;
        let interest = match state.owed.front().is_some_and(waits_for_room) {
            true => Interest::OnceBoth,
            false => Interest::OnceReadable,
        };
        if let Some(key) = self.key.get()
            && !state.ended
        {
            reactor.watch_again(self.link.socket.as_fd(), *key, interest);
        }
    }

    /// A client that hasn't said hello by now never will.
    pub(crate) fn end_unless_open(self: &Arc<Self>, reactor: &Arc<Reactor>) {
        if self.interface.get().is_none() {
            tracing::debug!("a client did not say hello in time");
            self.end(reactor, false);
        }
    }

    /// Ends the connection because the server is done. Good-bye means that what wasn't answered by
    /// now did not run: where that isn't so there is none, and the client learns from the end of
    /// file that the server is gone.
    pub(crate) fn close(&self, reactor: &Arc<Reactor>) {
        let state = self.state();
        if state.end.is_idle() && state.owed.is_empty() {
            // If it is gone, or doesn't read, there is the end of file too.
            let _ = self.link.send_header(&Header::new(FrameKind::Bye));
        }
        drop(state);
        self.end(reactor, true);
    }

    /// Receives one frame and acts on it; waits for it no longer than `patience`.
    fn receive(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        post: &Arc<Post>,
        patience: Option<Duration>,
    ) -> Frame {
        let (mut frame, mut handles) = (FrameBuffer::take(), Arrived::new());
        let received = match self.link.receive(&mut frame, &mut handles, patience) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Frame::None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Frame::None,
            // It went with messages of ours unread; its own are still to come.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Frame::Other,
            Err(error) => {
                tracing::debug!(%error, "a connection failed");
                self.end(reactor, false);
                return Frame::End;
            }
        };
        if received.len == 0 {
            self.end(reactor, false);
            return Frame::End;
        }
        if handles.len() > 0
            && let Err(limit) = handles.sent_by(&self.session.share)
        {
            self.refuse(reactor, &Fault::Busy { limit: limit.into() });
            return Frame::End;
        }
        let taken = match received.bytes_truncated {
            true => Err(Violation::TooLong),
            false => self.take(reactor, post, frame, &received, handles),
        };
        match taken {
            Ok(Some(work)) => Frame::Call(work),
            Ok(None) if self.state().ended => Frame::End,
            Ok(None) => Frame::Other,
            Err(violation) => {
                let Credentials { pid, uid, .. } = self.session.client;
                tracing::warn!(%violation, pid, uid, "a client broke the rules");
                self.end(reactor, false);
                Frame::End
            }
        }
    }

    /// Acts on a frame.
    fn take(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        post: &Arc<Post>,
        frame: FrameBuffer,
        received: &Received,
        handles: Arrived,
    ) -> Result<Option<Work>, Violation> {
        let (len, truncated) = (received.len, received.handles_truncated);
        let mut guard = self.state();
        let state = &mut *guard;
        let (event, inline) = state.end.receive(&frame[..len], handles.len(), truncated)?;
        let mut work = None;
        match event {
            FromClient::Hello(hello) => {
                drop(guard);
                if let Err(fault) = self.open(reactor, post, hello) {
                    self.refuse(reactor, &fault);
                }
                return Ok(None);
            }
            FromClient::Call { call, method, timeout_ms, body, handles_lost } => {
                // Those whose reply the client doesn't read run no more, and count all the same: or
                // what is owed would grow without end.
                let unread = state.owed.iter().filter(|owed| owed.header.is_some()).count();
                if state.end.running().count() + unread >= LIMITS.calls_max.into() {
                    return Err(Violation::TooManyCalls);
                }
                let timeout = Duration::from_millis(timeout_ms.into());
                let running = CallState::start(&mut state.last_call, now() + timeout);
                let (arguments, bytes_lost) = match body {
                    Body::Inline { .. } => {
                        let start = len - inline.len();
                        (Arguments::Frame { frame, start, end: len }, false)
                    }
                    Body::Shared { .. } => match self.link.check_body(body) {
                        Ok(()) => (Arguments::Shared { connection: self.clone(), body }, false),
                        Err(NoBody::Lost) => {
                            let release = state.end.has_read(body);
                            self.release(state, release);
                            (Arguments::Lost, true)
                        }
                        Err(NoBody::Violation(violation)) => return Err(violation),
                    },
                };
                state.end.started(call, running.clone());
                work = Some(Work {
                    connection: self.clone(),
                    state: running,
                    call,
                    method,
                    arguments,
                    handles,
                    handles_lost: handles_lost || bytes_lost,
                    _hold: reactor.hold(What::Work),
                });
            }
            FromClient::Cancel(running) => running.cancelled.store(true, Ordering::SeqCst),
            FromClient::Arena => self.link.set_incoming(&handles)?,
            FromClient::ArenaLost => self.link.send_outgoing_again(),
            FromClient::Asked(release) => self.release(state, release),
            FromClient::Nothing => {}
            FromClient::Bye => {
                drop(guard);
                self.end(reactor, true);
                return Ok(None);
            }
        }
        // Any frame may have given back the shared memory that a reply needs.
        let owes = !state.owed.is_empty();
        drop(guard);
        if owes {
            self.pay(reactor);
        }
        Ok(work)
    }

    /// The bytes of a body in the client's memory, and how many they are.
    pub(super) fn range(&self, body: Body) -> (Range<'_>, usize) {
        self.link.range(body)
    }

    /// A range of the client's memory isn't needed any more.
    pub(super) fn has_read(&self, body: Body) {
        let mut state = self.state();
        let release = state.end.has_read(body);
        self.release(&mut state, release);
    }

    /// Gives ranges of the client's memory back, where that is not to wait for the next reply.
    fn release(&self, state: &mut State, header: Option<Header>) {
        if let Some(header) = header
            && self.link.send_header(&header).is_err()
        {
            state.end.unreleased(&header);
        }
    }

    /// Finds or makes the object that the client wants.
    fn open(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        post: &Arc<Post>,
        hello: Hello,
    ) -> Result<(), Fault> {
        if let Some(timer) = self.hello_timer.get() {
            reactor.timers.forget(*timer);
        }
        if self.object.get().is_none() {
            let make = reactor.class(hello.clsid).ok_or(Fault::NoSuchClass(hello.clsid))?;
            reactor.about_to_call();
            // The sentinel sees to the others if this takes long; but nobody is to receive here
            // before the object is there.
            post.leave();
            let running = post.start_running(reactor);
            let object = catch_unwind(AssertUnwindSafe(make));
            drop(running);
            post.take(self);
            let object = object.map_err(|panic| Fault::NoObject { text: panic_text(&*panic) })?;
            let _ = self.object.set(object);
        } else if hello.clsid != Guid::NIL {
            return Err(Fault::NoSuchClass(hello.clsid));
        }
        let interface = self.object.get().and_then(|object| object.interface(hello.iid));
        let _ = self.interface.set(interface.ok_or(Fault::NoSuchInterface(hello.iid))?);
        Ok(())
    }

    /// Ends the connection with an error.
    pub(crate) fn refuse(&self, reactor: &Arc<Reactor>, fault: &Fault) {
        let (header, body) = ServerEnd::<()>::refused(fault);
        // If it is gone it needn't be told.
        let _ = self.link.send(&header, &body.into(), &[]);
        self.end(reactor, false);
    }

    /// Ends the connection: with good-bye, or because the client is gone or broke the rules.
    pub(super) fn end(&self, reactor: &Arc<Reactor>, bye: bool) {
        let mut state = self.state();
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        for running in state.end.running() {
            running.cancelled.store(true, Ordering::SeqCst);
        }
        let owed = std::mem::take(&mut state.owed);
        let hold = state.hold.take();
        drop(state);
        drop(owed);
        if let Some(timer) = self.hello_timer.get() {
            reactor.timers.forget(*timer);
        }
        if let Some(key) = self.key.get() {
            reactor.remove_source(*key, self.link.socket.as_fd());
        }
        self.session.end(reactor, &self.link.socket, bye);
        self.link.socket.shut_down();
        tracing::debug!(bye, pid = self.session.client.pid, "a client has gone");
        // Last: without a client the server may end.
        drop(hold);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("client", &self.session.client).finish_non_exhaustive()
    }
}

/// Frames of one client before it is the others' turn, where no other thread is there for them.
const TURNS_MAX: usize = 128;

/// How long a thread stays with a client that has just called.
const STAY: Duration = Duration::from_millis(5);

/// A client that has connected and says nothing is not kept for longer.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
