//! The server side of a connection.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use syshandle_os::{Credentials, Interest, Seqpacket};
use syshandle_types::Payload;
use syshandle_wire::{Fault, FrameKind, Header, ServerEnd};

use super::acceptor::refuse;
use super::activity::{ActivityKind, KeepAlive};
use super::call::CallState;
use super::event_loop::{EventLoop, Source};
use super::inbox::Inbox;
use super::method_times::{MethodId, MethodTimes};
use super::object::ClientObject;
use super::reactor::Reactor;
use super::replies::PendingReply;
use super::reply_batch::ReplyBatch;
use super::session::{ClientProcess, Session};
use super::timers::{Timer, TimerId};
use crate::class::Object;
use crate::door::ProcessIdentity;
use crate::limits::LIMITS;
use crate::link::Link;
use crate::peer_socket::PeerSocket;
use crate::quota::{QuotaGuard, Resource};
use crate::spin::Spin;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Mutex, MutexGuard, now};

/// The server side of a connection: one client, one object, one interface.
pub(crate) struct ServerConnection {
    pub(super) link: Link,
    pub(super) session: Arc<Session>,
    /// Key among the sources of the reactor; 0 until registered.
    key: AtomicU64,
    /// The object. For a door it is set from the start. A client of the listening socket names its
    /// class in the hello.
    pub(super) kept: ClientObject,
    pub(super) hello_timer: OnceLock<TimerId>,
    pub(super) spin: Spin,
    /// Measured run times of the interface's methods.
    pub(super) methods: OnceLock<Arc<MethodTimes>>,
    pub(super) inbox: Inbox,
    /// The return channel of a client at a door. It is kept until the hello shows that the client
    /// has received the connection.
    channel: Mutex<Option<(Arc<PeerSocket>, QuotaGuard)>>,
    /// Whether replies are batched. Mirrors `ServerConnectionState::reply_batch` without the lock,
    /// because usually there are none.
    pub(super) batches_replies: AtomicBool,
    /// Whether a timer is set to free unused shared memory.
    pub(super) frees_memory: AtomicBool,
    state: Mutex<ServerConnectionState>,
}

/// How the server learned the identity of the client of a new connection.
pub(crate) enum ClientOrigin {
    /// From the kernel, for the other end of the socket.
    OfSocket(Credentials),
    /// From the attach frame. The server created both ends of the socket, and sends one end through
    /// the return channel.
    Attached(ProcessIdentity, Arc<PeerSocket>),
}

/// A connection that was added.
pub(crate) struct NewConnection {
    pub(crate) connection: Arc<ServerConnection>,
    /// Whether the connection is in the loop that the caller named.
    pub(crate) is_here: bool,
}

pub(super) struct ServerConnectionState {
    pub(super) end: ServerEnd<Arc<CallState>>,
    /// The state of the last call, whose allocation is reused.
    pub(super) last_call: Option<Arc<CallState>>,
    /// The interest in the socket with which the loop polls; `None` while a thread is dedicated to
    /// this client.
    watched: Option<Interest>,
    /// Whether the object is being created. No thread may receive frames after the hello until the
    /// object exists.
    pub(super) opening: bool,
    /// Pending replies, for which there was no room.
    pub(super) pending: VecDeque<PendingReply>,
    /// Whether a thread is dedicated to this client.
    pub(super) dedicated: bool,
    /// The batch of replies to be sent together.
    pub(super) reply_batch: Option<ReplyBatch>,
    /// Whether the client was asked to release shared memory.
    pub(super) asked: bool,
    pub(super) ended: bool,
    keep_alive: Option<KeepAlive>,
}

impl ServerConnection {
    /// Greets a client and starts to serve it. A client at a door gets `object`. Returns `None` if
    /// the client was refused.
    pub(crate) fn add(
        reactor: &Arc<Reactor>,
        socket: Seqpacket,
        client: ClientOrigin,
        (header, greeting): &(Header, Payload<'static>),
        object: Option<Object>,
        here: Option<usize>,
    ) -> io::Result<Option<NewConnection>> {
        let (client, process, channel) = match client {
            ClientOrigin::OfSocket(credentials) => (credentials, ClientProcess::OfSocket, None),
            ClientOrigin::Attached(ProcessIdentity { credentials, process }, channel) => {
                let process = process.map_or(ClientProcess::Unknown, ClientProcess::Known);
                (credentials, process, Some(channel))
            }
        };
        let quota = reactor.quotas.of(client);
        let socket = PeerSocket::new(socket, quota.clone());
        let descriptors = 1 + usize::from(matches!(process, ClientProcess::Known(_)));
        let quota_guard = quota.may_send_handles().and_then(|()| {
            let of_channel = channel.as_ref().map(|_| quota.take(Resource::Descriptors, 1));
            Ok((quota.take(Resource::Connection, descriptors)?, of_channel.transpose()?))
        });
        let (quota_guard, of_channel) = match quota_guard {
            Ok(quota_guard) => quota_guard,
            Err(limit) => {
                let socket = channel.as_deref().unwrap_or(&socket);
                refuse(reactor, socket, &Fault::Busy { limit: limit.into() });
                return Ok(None);
            }
        };
        let kept = ClientObject::new(reactor, &quota, object, quota_guard);
        let session = Arc::new(Session::new(client, process, quota));
        let state = ServerConnectionState {
            end: ServerEnd::new(LIMITS),
            last_call: None,
            watched: Some(Interest::WhileReadable),
            opening: false,
            pending: VecDeque::new(),
            dedicated: false,
            reply_batch: None,
            asked: false,
            ended: false,
            keep_alive: Some(reactor.keep_alive(ActivityKind::Presence)),
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
            batches_replies: AtomicBool::new(false),
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
            crate::log::warn!(%error, pid, %uid, "a client was refused: its connection can't be watched");
            let limit = format!("descriptors that it can watch (epoll_ctl: {error})");
            refuse(reactor, &connection.link.socket, &Fault::Busy { limit });
        })?;
        crate::log::debug!(pid = connection.session.client.pid, "a client has come");
        Ok(Some(NewConnection { connection, is_here: here == Some(EventLoop::index_of(key)) }))
    }

    /// Sets the timer that ends the connection unless the client says hello.
    pub(super) fn expect_hello(&self, reactor: &Reactor) {
        let timer = reactor.timers.set(now() + HELLO_TIMEOUT, Timer::Hello(self.key()));
        let _ = self.hello_timer.set(timer);
    }

    /// Closes the return channel. The client has said hello, so it has received the connection.
    pub(super) fn close_channel(&self) {
        // If the client has only peeked at the message, the handle is still in flight. Then the
        // socket of the channel is kept.
        drop(self.channel.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn socket(&self) -> &Seqpacket {
        &self.link.socket
    }

    /// Returns a handle to the client's process.
    pub(crate) fn client_process(&self) -> io::Result<OwnedFd> {
        self.session.process(&self.link.socket)?.try_clone_to_owned()
    }

    /// Returns the key among the sources of the reactor. The key changes when the connection moves
    /// to another loop.
    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// Moves the connection to another loop. Only the thread that runs the connection's present
    /// loop may call this.
    pub(super) fn move_to(self: &Arc<Self>, to: &EventLoop, reactor: &Reactor) {
        let mut state = self.state();
        // Received frames that are not handled yet are expected in the present loop, so the
        // connection does not move.
        if state.ended || state.watched.is_none() || !self.inbox.is_empty() {
            return;
        }
        reactor.remove_source(self.key(), self.link.socket.as_fd());
        let (socket, interest) = (self.link.socket.as_fd(), state.interest());
        let make = |key| {
            self.key.store(key, Ordering::Release);
            Source::Connection(self.clone())
        };
        // If the system has no memory to watch the socket, the connection still moves, and the new
        // loop retries later.
        let joined = to.add(make, |poller, key| {
            state.watched = poller.add(socket, key, interest).map(|()| interest).ok();
            Ok(())
        });
        if self.frees_memory.load(Ordering::Relaxed) {
            // The timer refers to the connection by its key, which has changed.
            reactor.timers.set(now() + UNUSED_MEMORY, Timer::FreeMemory(self.key()));
        }
        if joined.is_ok() && state.watched.is_none() {
            reactor.look_later(self.key(), &io::ErrorKind::OutOfMemory.into());
        }
    }

    /// Identifies a method of this interface among the methods of all interfaces.
    pub(super) fn method_id(&self, method: u32) -> MethodId {
        self.methods.get().map(|methods| methods.method_id(method)).unwrap_or_default()
    }

    /// Records how long a method has run.
    pub(super) fn learn(&self, method: u32, took: Duration) {
        if let Some(methods) = self.methods.get() {
            methods.learn(method, took);
        }
    }

    /// Removes the socket from the loop's poller, while a thread is dedicated to this client or
    /// creates its object. Returns `false` if the connection has ended or a reply is pending.
    pub(super) fn leave_loop(&self, state: &mut ServerConnectionState, reactor: &Reactor) -> bool {
        if state.ended || !state.pending.is_empty() {
            return false;
        }
        reactor.loop_of(self.key()).poller().remove(self.link.socket.as_fd());
        state.watched = None;
        true
    }

    /// Returns the socket to the loop's poller.
    pub(crate) fn rejoin(&self, reactor: &Reactor) {
        let mut state = self.state();
        state.dedicated = false;
        self.send_batch(&mut state);
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

    /// Updates what the loop polls the socket for, if the loop polls the socket.
    pub(super) fn watch_in(&self, state: &mut ServerConnectionState, reactor: &Reactor) {
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

    /// Ends the connection if the client has not said hello.
    pub(crate) fn end_unless_open(self: &Arc<Self>, reactor: &Arc<Reactor>) {
        if self.kept.interface.get().is_none() {
            crate::log::debug!("a client did not say hello in time");
            self.end(reactor, false);
        }
    }

    /// Ends the connection because the server ends. A bye means that unanswered calls did not run.
    /// If calls run or replies are pending, a fault reports instead that the server was stopped.
    pub(crate) fn close(&self, reactor: &Arc<Reactor>) {
        let mut state = self.state();
        self.send_batch(&mut state);
        let (header, body) = match state.end.is_idle() && state.pending.is_empty() {
            true => (Header::new(FrameKind::Bye), Vec::new()),
            false => ServerEnd::<()>::refused(&Fault::Draining),
        };
        // If the client is gone, it sees the end of the stream instead.
        let _ = self.link.send_last(&header, &body);
        // The lock is still held, so that no call runs after the client was told that it did not.
        self.end_locked(state, reactor, true);
    }

    /// Ends the connection with a fault.
    pub(crate) fn refuse(&self, reactor: &Arc<Reactor>, fault: &Fault) {
        reactor.count_refusal(fault);
        let (header, body) = ServerEnd::<()>::refused(fault);
        self.send_batch(&mut self.state());
        // A client that has disconnected does not need the fault.
        let _ = self.link.send_last(&header, &body);
        self.end(reactor, false);
    }

    /// Ends the connection. `bye` is `false` if the client is gone or violated the protocol.
    pub(super) fn end(&self, reactor: &Arc<Reactor>, bye: bool) {
        self.end_locked(self.state(), reactor, bye);
    }

    fn end_locked(
        &self,
        mut state: MutexGuard<'_, ServerConnectionState>,
        reactor: &Arc<Reactor>,
        bye: bool,
    ) {
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        state.dedicated = false;
        self.send_batch(&mut state);
        for running in state.end.running() {
            running.cancelled.store(true, Ordering::SeqCst);
        }
        let pending = std::mem::take(&mut state.pending);
        let keep_alive = state.keep_alive.take();
        drop(state);
        drop(pending);
        self.inbox.clear();
        if let Some(timer) = self.hello_timer.get() {
            reactor.timers.forget(*timer);
        }
        reactor.remove_source(self.key(), self.link.socket.as_fd());
        self.session.end(reactor, &self.link.socket, bye);
        self.link.socket.shut_down();
        crate::log::debug!(bye, pid = self.session.client.pid, "a client has gone");
        self.link.socket.leave();
        self.close_channel();
        // Dropped last, because a server without clients may end.
        drop(keep_alive);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ServerConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerConnectionState {
    /// Returns whether the loop polls the socket.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// Returns what to poll the socket for. A reply that needs shared memory waits for a frame of
    /// the client. Any other pending reply waits for room in the socket.
    fn interest(&self) -> Interest {
        let waits_for_room = |pending: &PendingReply| pending.header.is_some() || !self.asked;
        match self.pending.front().is_some_and(waits_for_room) {
            true => Interest::WhileBoth,
            false => Interest::WhileReadable,
        }
    }
}

impl std::fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConnection")
            .field("client", &self.session.client)
            .finish_non_exhaustive()
    }
}

/// How long unused shared memory for replies is kept.
pub(super) const UNUSED_MEMORY: Duration = Duration::from_secs(1);

/// How long a client may wait before its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
