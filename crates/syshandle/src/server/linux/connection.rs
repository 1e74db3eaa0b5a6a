//! The server side of a connection: one client, one object, one interface.
//!
//! | component | holds |
//! |---|---|
//! | [`ConnectionState`] | which thread receives the client's frames |
//! | [`Inbox`] | received frames that are not handled yet |
//! | [`Calls`] | calls that have not been answered |
//! | [`CallOrder`] | calls that wait for one-way calls |
//! | [`Outbox`] | replies that wait |
//! | [`Streams`] | the streams of items in both directions |
//! | [`Objects`] | the objects to which the client refers by numbers |
//! | [`Slots`] | the registered handles of both sides |
//! | [`Session`] | what outlives the connection: the client's identity and background tasks |
//!
//! [`receiving`] handles the frames of a client, [`replying`] answers its calls, and [`dedicated`]
//! does both on a thread that serves this client alone.

mod call_order;
pub(in crate::server) mod calls;
mod dedicated;
mod inbox;
mod objects;
mod outbox;
pub(super) mod receiving;
mod registered;
mod reply_batch;
mod replying;
mod state;
mod streaming;

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{BorrowedHandle, Credentials, Interest, Seqpacket};
use syshandle_types::{MessageObject, Payload};
use syshandle_wire::{Fault, FrameKind, Greeting, Header, ServerEnd, Status};

use self::call_order::CallOrder;
use self::calls::{CallId, Calls};
use self::inbox::Inbox;
use self::objects::Objects;
use self::outbox::Outbox;
use self::state::{ConnectionState, PollerChange};
use super::classes::Classes;
use super::context::CallHost;
use super::holders::{Holder, Holders};
use super::object::{ClientObject, release_beside};
use super::reactor::activity::{ActivityKind, KeepAlive};
use super::reactor::event_loop::{EventLoop, LoopSource};
use super::reactor::timers::SourceTimer;
use super::reactor::timers::TimerId;
use super::reactor::{Reactor, WorkItem};
use super::session::{ClientProcess, Session};
use super::task::TaskOwner;
use crate::door::ProcessIdentity;
use crate::limits::LIMITS;
use crate::link::Link;
use crate::peer_socket::PeerSocket;
use crate::quota::{QuotaGuard, Resource};
use crate::slots::Slots;
use crate::spin::Spin;
use crate::sync::atomic::{AtomicU64, AtomicUsize};
use crate::sync::{Mutex, MutexGuard};
use crate::untyped_object::Object;
use crate::untyped_stream::{StreamHost, Streams};

/// The server side of a connection.
pub(crate) struct ServerConnection {
    link: Arc<Link>,
    streams: Arc<Streams>,
    session: Arc<Session>,
    /// Key among the sources of the reactor; 0 until registered.
    key: AtomicU64,
    /// The object. For a door it is set from the start. A client of the listening socket names its
    /// class in the hello.
    object: Arc<ClientObject>,
    spin: Spin,
    inbox: Inbox,
    /// The registered handles.
    slots: Arc<Slots>,
    /// Number of replies that threads are sending without the lock.
    sending: AtomicUsize,
    shared: Mutex<SharedState>,
}

/// The part of a connection that threads change together.
struct SharedState {
    state: ConnectionState,
    /// State that the connection needs only until the hello; `None` afterwards.
    expected: Option<ExpectedHello>,
    calls: Calls,
    order: CallOrder<Box<dyn WorkItem>>,
    outbox: Outbox,
    objects: Objects,
    /// Key of the source that ends the connection with the client's process, if the client has
    /// registered a socket. That may be its end of the connection, which then stays open.
    death_watch: Option<u64>,
    keep_alive: Option<KeepAlive>,
    /// Keeps a draining server alive until the client's last frames are received.
    last_frames: Option<KeepAlive>,
}

/// State of a connection without a hello.
#[derive(Default)]
struct ExpectedHello {
    /// The timer that ends the connection of a silent client.
    timer: Option<TimerId>,
    /// The return channel of a client at a door. The hello shows that the client has received the
    /// connection.
    _channel: Option<(Arc<PeerSocket>, QuotaGuard)>,
    /// The classes from which the client chooses its object; `None` if it has an object.
    classes: Option<Arc<Classes>>,
}

/// Which object a new connection gets.
pub(crate) enum ObjectOrigin {
    /// The object of a door, and its holders if its owner can withdraw it.
    Existing(Object, Option<Arc<Holders>>),
    /// A new object of the class that the client names in its hello.
    OfClass(Arc<Classes>),
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

impl ServerConnection {
    /// Serves an object to a client: sends the greeting and waits for frames. Returns `None` if the client was refused.
    pub(crate) fn serve(
        reactor: &Arc<Reactor>,
        socket: Seqpacket,
        client: ClientOrigin,
        (object, holders): (&Object, Option<&Arc<Holders>>),
    ) -> io::Result<Option<Arc<Self>>> {
        let greeting = greeting_frame(&Greeting::new(LIMITS, object.offers()));
        let object = ObjectOrigin::Existing(object.clone(), holders.cloned());
        let added = Self::add(reactor, socket, client, &greeting, object, None)?;
        let connection = added.map(|added| added.connection);
        if let (Some(connection), Some(holders)) = (&connection, holders) {
            holders.add(reactor, connection);
        }
        Ok(connection)
    }

    /// Greets a client and starts to serve it. Returns `None` if the client was refused.
    pub(crate) fn add(
        reactor: &Arc<Reactor>,
        socket: Seqpacket,
        client: ClientOrigin,
        (header, greeting): &(Header, Payload<'static>),
        object: ObjectOrigin,
        here: Option<usize>,
    ) -> io::Result<Option<NewConnection>> {
        let (client, process, channel) = match client {
            ClientOrigin::OfSocket(credentials) => (credentials, ClientProcess::OfSocket, None),
            ClientOrigin::Attached(ProcessIdentity { credentials, process }, channel) => {
                let process = process.map_or(ClientProcess::Unknown, ClientProcess::Known);
                (credentials, process, Some(channel))
            }
        };
        let quota = reactor.quotas().of(client);
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
        let (object, classes) = match object {
            ObjectOrigin::Existing(object, holders) => ((Some(object), holders), None),
            ObjectOrigin::OfClass(classes) => ((None, None), Some(classes)),
        };
        let object = Arc::new(ClientObject::new(reactor, &quota, object, quota_guard));
        let session = Arc::new(Session::new(client, process, quota));
        let shared = SharedState {
            state: ConnectionState::Handshaking,
            expected: Some(ExpectedHello {
                timer: None,
                _channel: channel.zip(of_channel),
                classes,
            }),
            calls: Calls::new(),
            order: CallOrder::default(),
            outbox: Outbox::default(),
            objects: Objects::default(),
            death_watch: None,
            keep_alive: Some(reactor.keep_alive(ActivityKind::Presence)),
            last_frames: None,
        };
        let link = Arc::new(Link::new(socket));
        let connection = Arc::new(Self {
            streams: Streams::new(&link),
            link,
            session,
            key: AtomicU64::new(0),
            object,
            spin: Spin::default(),
            inbox: Inbox::default(),
            slots: Arc::default(),
            sending: AtomicUsize::new(0),
            shared: Mutex::new(shared),
        });
        connection.slots.set_connection(|| Arc::downgrade(&connection));
        connection.streams.set_host(Arc::downgrade(&connection) as Weak<dyn StreamHost>);
        connection.link.send(header, greeting, &[])?;
        let watched = reactor.quietest_loop().add(
            |key| {
                connection.key.store(key, Ordering::Release);
                if here != Some(EventLoop::index_of(key)) {
                    connection.expect_hello(reactor);
                }
                connection.clone()
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
    fn expect_hello(&self, reactor: &Reactor) {
        let mut shared = self.shared();
        if let Some(expected) = &mut shared.expected {
            expected.timer =
                Some(reactor.set_timer(HELLO_TIMEOUT, self.key(), SourceTimer::Timeout));
        }
    }

    /// Returns the object of the connection.
    pub(super) fn object(&self) -> &ClientObject {
        &self.object
    }

    /// Returns whether the client may make one-way calls.
    pub(super) fn takes_one_way_calls(&self) -> bool {
        self.shared().calls.takes_one_way_calls()
    }

    /// Returns the key among the sources of the reactor. The key changes when the connection moves
    /// to another loop.
    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// Moves the connection to another loop. Only the thread that runs the connection's present
    /// loop may call this.
    pub(crate) fn move_to(self: &Arc<Self>, to: &EventLoop, reactor: &Reactor) {
        let mut shared = self.shared();
        // Received frames that are not handled yet are expected in the present loop, so the
        // connection does not move.
        // The timer of a withdrawn object refers to the connection by its key.
        if !self.inbox.is_empty()
            || self.object.is_withdrawn()
            || !shared.state.move_to_other_loop()
        {
            return;
        }
        reactor.remove_source(self.key(), self.link.socket.as_fd());
        let make = |key| -> Arc<dyn LoopSource> {
            self.key.store(key, Ordering::Release);
            self.clone()
        };
        // If the system has no memory to watch the socket, the connection still moves, and the new
        // loop retries later.
        let _ = to.add(make, |_, _| {
            self.update_poller(&mut shared, reactor);
            Ok(())
        });
        if shared.outbox.has_memory_timer() {
            // The timer refers to the connection by its key, which has changed.
            reactor.set_timer(UNUSED_MEMORY, self.key(), SourceTimer::FreeMemory);
        }
    }

    /// Watches the socket, or watches it for something else. If frames were received that are not
    /// handled yet, the loop handles them.
    fn watch_in_loop(&self, mut shared: MutexGuard<'_, SharedState>, reactor: &Reactor) {
        if self.update_poller(&mut shared, reactor) && !self.inbox.is_empty() {
            drop(shared);
            reactor.remind(self.key());
        }
    }

    /// Has the loop's poller watch the socket for what the connection waits for. Does nothing while
    /// no thread of the loop may receive. Returns whether the socket was added.
    fn update_poller(&self, shared: &mut SharedState, reactor: &Reactor) -> bool {
        let wanted = match self.streams.wants_room() {
            true => Interest::WhileBoth,
            false => shared.outbox.interest(),
        };
        let Some(change) = shared.state.poller_change(wanted) else { return false };
        let (poller, socket) = (reactor.loop_of(self.key()).poller(), self.link.socket.as_fd());
        let changed = match change {
            PollerChange::Add(interest) => poller.add(socket, self.key(), interest),
            PollerChange::Change(interest) => poller.change(socket, self.key(), interest),
        };
        match changed {
            Ok(()) => shared.state.watched_for(wanted),
            Err(error) => reactor.look_later(self.key(), &error),
        }
        matches!(change, PollerChange::Add(_))
    }

    /// Removes the socket from the loop's poller.
    fn remove_from_poller(&self, reactor: &Reactor) {
        reactor.loop_of(self.key()).poller().remove(self.link.socket.as_fd());
    }

    /// Ends the connection if the client has not said hello, or does not read the last replies of
    /// an object that was withdrawn.
    fn end_late(&self, reactor: &Arc<Reactor>) {
        if self.object.interface().is_none() {
            crate::log::debug!("a client did not say hello in time");
            self.end(reactor, false);
        } else if self.object.is_withdrawn() {
            let shared = self.shared();
            let has_ended = shared.calls.running() == shared.outbox.unanswered();
            if has_ended && self.sending.load(Ordering::SeqCst) == 0 {
                // Without a fault, because the calls whose replies are lost have run.
                self.end_locked(shared, reactor, false);
            } else {
                reactor.set_timer(LAST_REPLIES_TIMEOUT, self.key(), SourceTimer::Timeout);
            }
        }
    }

    /// Ends the connection if its object was withdrawn and the client has got all replies.
    fn end_if_withdrawn(&self, reactor: &Arc<Reactor>) {
        if !self.object.is_withdrawn() {
            return;
        }
        let mut shared = self.shared();
        let is_busy = !shared.calls.is_idle() || self.sending.load(Ordering::SeqCst) > 0;
        if shared.state.is_closed() || is_busy {
            return;
        }
        shared.send_batch(self);
        if shared.outbox.has_pending() {
            self.update_poller(&mut shared, reactor);
            return;
        }
        let (header, body) = ServerEnd::<()>::refused(&Fault::Withdrawn);
        // A client that has disconnected does not need the fault.
        let _ = self.link.send_last(&header, &body);
        // The lock is still held, so that no call runs after the client was told that it did not.
        self.end_locked(shared, reactor, true);
    }

    /// Ends the connection because the server ends. A bye means that unanswered calls did not run.
    /// If calls run or replies are pending, a fault reports instead that the server was stopped.
    fn close(&self, reactor: &Arc<Reactor>) {
        let mut shared = self.shared();
        shared.send_batch(self);
        self.acknowledge(&mut shared, true);
        let (header, body) = match shared.calls.is_idle() && !shared.outbox.has_pending() {
            true => (Header::new(FrameKind::Bye), Vec::new()),
            false => ServerEnd::<()>::refused(&Fault::Draining),
        };
        // If the client is gone, it sees the end of the stream instead.
        let _ = self.link.send_last(&header, &body);
        // The lock is still held, so that no call runs after the client was told that it did not.
        self.end_locked(shared, reactor, true);
    }

    /// Ends the connection. `bye` is `false` if the client is gone or violated the protocol.
    pub(super) fn end(&self, reactor: &Arc<Reactor>, bye: bool) {
        self.end_locked(self.shared(), reactor, bye);
    }

    fn end_locked(
        &self,
        mut shared: MutexGuard<'_, SharedState>,
        reactor: &Arc<Reactor>,
        bye: bool,
    ) {
        shared.send_batch(self);
        if !shared.state.close() {
            return;
        }
        let calls = shared.calls.states();
        let waiting = match shared.calls.has_said_bye() {
            // The calls that wait start after the one-way call that runs.
            true => Vec::new(),
            false => shared.order.take_waiting(),
        };
        let pending = shared.outbox.take_pending();
        let objects = shared.objects.take_all();
        let (expected, keep_alive) = (shared.expected.take(), shared.keep_alive.take());
        let last_frames = shared.last_frames.take();
        let death_watch = shared.death_watch.take();
        drop(shared);
        self.end_death_watch(reactor, death_watch);
        self.drop_kept(reactor, self.slots.close());
        self.end_streams(reactor);
        calls.iter().for_each(|call| call.cancel());
        // They are refused, because they were cancelled.
        waiting.into_iter().for_each(|call| reactor.run_beside(call));
        drop(pending);
        release_beside(reactor, &self.session.quota, objects);
        self.inbox.clear();
        if let Some(timer) = expected.as_ref().and_then(|expected| expected.timer) {
            reactor.forget_timer(timer);
        }
        reactor.remove_source(self.key(), self.link.socket.as_fd());
        self.session.end(reactor, &self.link.socket, bye);
        self.link.socket.shut_down();
        crate::log::debug!(bye, pid = self.session.client.pid, "a client has gone");
        self.link.socket.leave();
        // If the client has only peeked at the message in its channel, the handle is still in
        // flight. Then the socket of the channel is kept.
        drop(expected);
        // Dropped last, because a server without clients may end.
        drop((last_frames, keep_alive));
    }

    fn shared(&self) -> MutexGuard<'_, SharedState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallHost for ServerConnection {
    fn session(&self) -> &Arc<Session> {
        &self.session
    }

    fn task_owner(&self) -> TaskOwner<'_> {
        TaskOwner { session: &self.session, socket: &self.link.socket, key: self.key() }
    }

    fn refuse(&self, reactor: &Arc<Reactor>, fault: &Fault) {
        reactor.count_refusal(fault);
        let (header, body) = ServerEnd::<()>::refused(fault);
        self.shared().send_batch(self);
        // A client that has disconnected does not need the fault.
        let _ = self.link.send_last(&header, &body);
        self.end(reactor, false);
    }

    fn take_back_handles(&self, reactor: &Arc<Reactor>) {
        let shared = self.shared();
        let handles = self.slots.take_back();
        if !shared.state.is_closed() {
            self.send_notes();
        }
        drop(shared);
        self.drop_kept(reactor, handles);
    }

    fn reply(
        &self,
        reactor: &Arc<Reactor>,
        call: CallId,
        status: Status,
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        objects: &[Option<MessageObject>],
    ) {
        self.reply_with(reactor, (call, status), body, handles, objects);
    }
}

impl Holder for ServerConnection {
    fn withdraw(&self, reactor: &Arc<Reactor>) {
        let shared = self.shared();
        if !shared.state.is_closed() {
            reactor.set_timer(LAST_REPLIES_TIMEOUT, self.key(), SourceTimer::Timeout);
        }
        drop(shared);
        self.end_if_withdrawn(reactor);
    }
}

impl SharedState {
    /// Sends the replies that wait to be sent together.
    fn send_batch(&mut self, connection: &ServerConnection) {
        let ServerConnection { link, session, .. } = connection;
        self.outbox.send_batch(&mut self.calls, link, &session.quota);
    }
}

/// Encodes a greeting.
pub(super) fn greeting_frame(greeting: &Greeting) -> (Header, Payload<'static>) {
    let (header, body) = ServerEnd::<()>::greeting(greeting);
    (header, body.into())
}

/// Reports a fault to a client that is not served, and ends its connection.
pub(super) fn refuse(reactor: &Reactor, socket: &PeerSocket, fault: &Fault) {
    reactor.count_refusal(fault);
    let (header, body) = ServerEnd::<()>::refused(fault);
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    // A client that has disconnected does not need the fault.
    let _ = socket.send(&[io::IoSlice::new(&head[..len]), io::IoSlice::new(&body)], &[]);
    socket.refuse();
}

impl std::fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConnection")
            .field("client", &self.session.client)
            .finish_non_exhaustive()
    }
}

/// How long unused shared memory for replies is kept.
const UNUSED_MEMORY: Duration = Duration::from_secs(1);

/// How long a client may take to read the last replies of an object that was withdrawn.
const LAST_REPLIES_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may wait before its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
