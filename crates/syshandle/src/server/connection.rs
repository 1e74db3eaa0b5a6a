//! The server's side of a connection.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use syshandle_os::{Credentials, Interest, Seqpacket};
use syshandle_wire::{Body, Fault, FrameKind, Header, Payload, ServerEnd};

use super::accept::refuse;
use super::activity::{Hold, What};
use super::event_loop::{EventLoop, Source};
use super::held::HeldReplies;
use super::inbox::Inbox;
use super::newest::Newest;
use super::object::ClientObject;
use super::reactor::Reactor;
use super::replies::Owed;
use super::session::{ClientProcess, Session};
use super::shares::{Part, Taken};
use super::slow::{MethodSite, MethodTimes};
use super::timers::{Timer, TimerId};
use super::work::CallState;
use crate::Object;
use crate::client::LIMITS;
use crate::door::Known;
use crate::link::{Link, Range};
use crate::peer_socket::PeerSocket;
use crate::spin::Spin;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Mutex, MutexGuard, now};

/// The server's side of a connection: one client, one object, one interface.
pub(crate) struct Connection {
    pub(super) link: Link,
    pub(super) session: Arc<Session>,
    /// Its key among the sources of the reactor: none of them before it is one.
    key: AtomicU64,
    /// The object of a door; a client of the listening socket names the class of its object.
    pub(super) kept: ClientObject,
    pub(super) hello_timer: OnceLock<TimerId>,
    pub(super) spin: Spin,
    /// Times of the interface's methods.
    pub(super) methods: OnceLock<Arc<MethodTimes>>,
    pub(super) inbox: Inbox,
    /// The return channel of a client at a door, until its hello shows that it has the answer.
    channel: Mutex<Option<(Arc<PeerSocket>, Taken)>>,
    /// A job that the thread looks after that stays with this client.
    newest: Arc<Newest>,
    /// So that nobody needs the lock to see that there are none, as is usual.
    pub(super) holds_replies: AtomicBool,
    /// A timer is set, after which unused shared memory is freed.
    frees_memory: AtomicBool,
    state: Mutex<State>,
}

/// How the kernel names the client of a new connection.
pub(crate) enum Client {
    /// By the other end of the socket.
    OfSocket(Credentials),
    /// When it attached: the server made both ends of the socket. The other one goes through the
    /// return channel.
    Attached(Known, Arc<PeerSocket>),
}

/// A connection that is served from now on.
pub(crate) struct Added {
    pub(crate) connection: Arc<Connection>,
    /// It is in the loop that was asked about.
    pub(crate) is_here: bool,
}

pub(super) struct State {
    pub(super) end: ServerEnd<Arc<CallState>>,
    /// That of the last call, to be used again.
    pub(super) last_call: Option<Arc<CallState>>,
    /// What its loop waits for; nothing while a thread stays with this client.
    watched: Option<Interest>,
    /// Its object is being made: nobody may receive what comes after the hello.
    pub(super) opening: bool,
    /// Replies for which there was no room.
    pub(super) owed: VecDeque<Owed>,
    /// A thread stays with this client.
    pub(super) stays: bool,
    /// Replies that wait for others.
    pub(super) held: Option<HeldReplies>,
    /// The client was told that shared memory is short.
    pub(super) asked: bool,
    pub(super) ended: bool,
    hold: Option<Hold>,
}

impl Connection {
    /// Greets a client, and serves it from now on: the object, if there is one already. Returns `None`
    /// if the client was refused.
    pub(crate) fn add(
        reactor: &Arc<Reactor>,
        socket: Seqpacket,
        client: Client,
        (header, greeting): &(Header, Payload<'static>),
        object: Option<Object>,
        here: Option<usize>,
    ) -> io::Result<Option<Added>> {
        let (client, process, channel) = match client {
            Client::OfSocket(credentials) => (credentials, ClientProcess::OfSocket, None),
            Client::Attached(Known { credentials, process }, channel) => {
                let process = process.map_or(ClientProcess::Unknown, ClientProcess::Known);
                (credentials, process, Some(channel))
            }
        };
        let share = reactor.shares.of(client);
        let socket = PeerSocket::new(socket, share.clone());
        let descriptors = 1 + usize::from(matches!(process, ClientProcess::Known(_)));
        let taken = share.may_send_handles().and_then(|()| {
            let of_channel = channel.as_ref().map(|_| share.take(Part::Unhandled, 1));
            Ok((share.take(Part::Client, descriptors)?, of_channel.transpose()?))
        });
        let (taken, of_channel) = match taken {
            Ok(taken) => taken,
            Err(limit) => {
                refuse(channel.as_deref().unwrap_or(&socket), &Fault::Busy { limit: limit.into() });
                return Ok(None);
            }
        };
        let kept = ClientObject::new(reactor, &share, object, taken);
        let session = Arc::new(Session::new(client, process, share));
        let state = State {
            end: ServerEnd::new(LIMITS),
            last_call: None,
            watched: Some(Interest::WhileReadable),
            opening: false,
            owed: VecDeque::new(),
            stays: false,
            held: None,
            asked: false,
            ended: false,
            hold: Some(reactor.hold(What::Presence)),
        };
        let connection = Arc::new(Self {
            link: Link::new(socket),
            session,
            key: AtomicU64::new(0),
            kept,
            hello_timer: OnceLock::new(),
            spin: Spin::default(),
            methods: OnceLock::new(),
            inbox: Inbox::default(),
            channel: Mutex::new(channel.zip(of_channel)),
            newest: Arc::default(),
            holds_replies: AtomicBool::new(false),
            frees_memory: AtomicBool::new(false),
            state: Mutex::new(state),
        });
        connection.link.send(header, greeting, &[])?;
        let watched = reactor.quietest_loop().add(
            |key| {
                connection.key.store(key, Ordering::Release);
                if here != Some(EventLoop::index_of(key)) {
                    connection.expect_hello(reactor);
                }
                Source::Connection(connection.clone())
            },
            |poller, key| poller.add(&connection.link.socket, key, Interest::WhileReadable),
        );
        let key = watched.inspect_err(|error| {
            let Credentials { pid, uid, .. } = client;
            crate::log::warn!(%error, pid, %uid, "a client was turned away: it can't be watched");
            let limit = format!("descriptors that it can watch (epoll_ctl: {error})");
            refuse(&connection.link.socket, &Fault::Busy { limit });
        })?;
        crate::log::debug!(key, pid = connection.session.client.pid, "a client has come");
        Ok(Some(Added { connection, is_here: here == Some(EventLoop::index_of(key)) }))
    }

    /// Sees to it that a client that says nothing isn't kept.
    pub(super) fn expect_hello(&self, reactor: &Reactor) {
        let timer = reactor.timers.set(now() + HELLO_TIMEOUT, Timer::Hello(self.key()));
        let _ = self.hello_timer.set(timer);
    }

    /// The client has said hello, so it has received the answer of a return channel.
    pub(super) fn close_channel(&self) {
        // A client that has only peeked at the answer has it in flight: then the channel is kept.
        drop(self.channel.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn socket(&self) -> &Seqpacket {
        &self.link.socket
    }

    /// The job that the thread looks after that stays with this client.
    pub(super) fn newest(&self) -> &Arc<Newest> {
        &self.newest
    }

    /// No thread stays with this client any more: the job goes to its loop.
    pub(super) fn leave_newest(&self, reactor: &Reactor) {
        if let Some(job) = self.newest.leave() {
            job.add_to_poller(reactor);
        }
    }

    /// The process of the client.
    pub(crate) fn client_process(&self) -> io::Result<OwnedFd> {
        self.session.process(&self.link.socket)?.try_clone_to_owned()
    }

    /// Its key among the sources of the reactor, which changes where it moves to another loop.
    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// Moves to another loop; only whoever runs its own may do that.
    pub(super) fn move_to(self: &Arc<Self>, to: &EventLoop, reactor: &Reactor) {
        let mut state = self.state();
        // Whoever is to act on frames that have come looks for them where it is now.
        if state.ended || state.watched.is_none() || !self.inbox.is_empty() {
            return;
        }
        reactor.remove_source(self.key(), self.link.socket.as_fd());
        let (socket, interest) = (self.link.socket.as_fd(), state.interest());
        let make = |key| {
            self.key.store(key, Ordering::Release);
            Source::Connection(self.clone())
        };
        // Without memory to wait for it, it is looked at later: but from there.
        let joined = to.add(make, |poller, key| {
            state.watched = poller.add(socket, key, interest).map(|()| interest).ok();
            Ok(())
        });
        if self.frees_memory.load(Ordering::Relaxed) {
            // The timer knows the connection by its key.
            reactor.timers.set(now() + UNUSED_MEMORY, Timer::FreeMemory(self.key()));
        }
        if joined.is_ok() && state.watched.is_none() {
            reactor.look_later(self.key(), &io::ErrorKind::OutOfMemory.into());
        }
    }

    /// A method of the interface, among those of all interfaces.
    pub(super) fn site(&self, method: u32) -> MethodSite {
        self.methods.get().map(|methods| methods.site(method)).unwrap_or_default()
    }

    /// Records how long a method has run.
    pub(super) fn learn(&self, method: u32, took: Duration) {
        if let Some(methods) = self.methods.get() {
            methods.learn(method, took);
        }
    }

    /// Has its loop not wait for it, while a thread stays with this client or makes its object;
    /// `false` where that is not possible now.
    pub(super) fn leave_loop(&self, state: &mut State, reactor: &Reactor) -> bool {
        if state.ended || !state.owed.is_empty() {
            return false;
        }
        reactor.loop_of(self.key()).poller().remove(self.link.socket.as_fd());
        state.watched = None;
        true
    }

    /// Has its loop wait for it again.
    pub(crate) fn rejoin(&self, reactor: &Reactor) {
        self.leave_newest(reactor);
        let mut state = self.state();
        state.stays = false;
        self.send_held(&mut state);
        if state.ended {
            return;
        }
        if state.watched.is_some() {
            return self.watch_in(&mut state, reactor);
        }
        let interest = state.interest();
        let joined = reactor.loop_of(self.key()).poller().add(
            self.link.socket.as_fd(),
            self.key(),
            interest,
        );
        match joined {
            Ok(()) => state.watched = Some(interest),
            Err(error) => return reactor.look_later(self.key(), &error),
        }
        drop(state);
        if !self.inbox.is_empty() {
            reactor.remind(self.key());
        }
    }

    /// Has its loop wait for what it is to wait for now, if it waits.
    pub(super) fn watch_in(&self, state: &mut State, reactor: &Reactor) {
        let interest = state.interest();
        if !state.ended && state.watched.is_some_and(|watched| watched != interest) {
            match reactor.loop_of(self.key()).poller().change(
                self.link.socket.as_fd(),
                self.key(),
                interest,
            ) {
                Ok(()) => state.watched = Some(interest),
                Err(error) => reactor.look_later(self.key(), &error),
            }
        }
    }

    /// A client that hasn't said hello by now never will.
    pub(crate) fn end_unless_open(self: &Arc<Self>, reactor: &Arc<Reactor>) {
        if self.kept.interface.get().is_none() {
            crate::log::debug!("a client did not say hello in time");
            self.end(reactor, false);
        }
    }

    /// Ends the connection because the server is done. Good-bye means that what wasn't answered by
    /// now did not run. While calls run, the client is told instead that the server was stopped.
    pub(crate) fn close(&self, reactor: &Arc<Reactor>) {
        let mut state = self.state();
        self.send_held(&mut state);
        let (header, body) = match state.end.is_idle() && state.owed.is_empty() {
            true => (Header::new(FrameKind::Bye), Vec::new()),
            false => ServerEnd::<()>::refused(&Fault::Draining),
        };
        // If the client is gone, the end of file tells as much.
        let _ = self.link.send_last(&header, &body);
        // Under the same lock: no call may run that the client was told did not.
        self.end_locked(state, reactor, true);
    }

    /// Frees the shared memory of replies after a while without any: called when one was sent.
    pub(super) fn free_memory_later(&self, reactor: &Reactor) {
        if !self.frees_memory.load(Ordering::Relaxed)
            && !self.frees_memory.swap(true, Ordering::Relaxed)
        {
            reactor.timers.set(now() + UNUSED_MEMORY, Timer::FreeMemory(self.key()));
        }
    }

    /// Frees the shared memory of replies, unless it was used a moment ago: then later.
    pub(super) fn free_memory(&self, reactor: &Reactor) {
        let mut state = self.state();
        let taken_to = state.end.outgoing().end();
        let was_used = self.link.outgoing().was_used();
        if !was_used {
            self.link.outgoing().free_from(taken_to);
        }
        self.frees_memory.store(false, Ordering::Relaxed);
        drop(state);
        if was_used || taken_to > 0 {
            self.free_memory_later(reactor);
        }
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
    pub(super) fn release(&self, state: &mut State, header: Option<Header>) {
        if let Some(header) = header
            && self.link.send_header(&header).is_err()
        {
            state.end.unreleased(&header);
        }
    }

    /// Ends the connection with an error.
    pub(crate) fn refuse(&self, reactor: &Arc<Reactor>, fault: &Fault) {
        let (header, body) = ServerEnd::<()>::refused(fault);
        self.send_held(&mut self.state());
        // If it is gone it needn't be told.
        let _ = self.link.send_last(&header, &body);
        self.end(reactor, false);
    }

    /// Ends the connection: with good-bye, or because the client is gone or broke the rules.
    pub(super) fn end(&self, reactor: &Arc<Reactor>, bye: bool) {
        self.end_locked(self.state(), reactor, bye);
    }

    fn end_locked(&self, mut state: MutexGuard<'_, State>, reactor: &Arc<Reactor>, bye: bool) {
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        state.stays = false;
        self.send_held(&mut state);
        for running in state.end.running() {
            running.cancelled.store(true, Ordering::SeqCst);
        }
        let owed = std::mem::take(&mut state.owed);
        let hold = state.hold.take();
        drop(state);
        drop(owed);
        self.inbox.clear();
        if let Some(timer) = self.hello_timer.get() {
            reactor.timers.forget(*timer);
        }
        reactor.remove_source(self.key(), self.link.socket.as_fd());
        self.leave_newest(reactor);
        self.session.end(reactor, &self.link.socket, bye);
        self.link.socket.shut_down();
        crate::log::debug!(bye, pid = self.session.client.pid, "a client has gone");
        self.link.socket.leave();
        self.close_channel();
        // Last: without a client the server may end.
        drop(hold);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether its loop waits for it.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// What is to be waited for: a reply that waits for shared memory waits for a frame; others wait
    /// for room.
    fn interest(&self) -> Interest {
        let waits_for_room = |owed: &Owed| owed.header.is_some() || !self.asked;
        match self.owed.front().is_some_and(waits_for_room) {
            true => Interest::WhileBoth,
            false => Interest::WhileReadable,
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("client", &self.session.client).finish_non_exhaustive()
    }
}

/// How long shared memory for replies is kept that is not used.
const UNUSED_MEMORY: Duration = Duration::from_secs(1);

/// A client that has connected and says nothing is not kept for longer.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
