//! The listening socket, through which clients connect.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use syshandle_os::{Credentials, Event, Interest, Listener, Peer, PollEvent, Seqpacket};
use syshandle_registry::{Policy, ProgramFile, SocketLocation};
use syshandle_types::Payload;
use syshandle_wire::{Fault, Greeting, Header};

use super::classes::Classes;
use super::connection::{ClientOrigin, ObjectOrigin, ServerConnection, greeting_frame, refuse};
use super::reactor::event_loop::{EndingStep, EventOutcome, LoopContext, LoopSource};
use super::reactor::timers::SourceTimer;
use super::reactor::{RETRY, Reactor};
use crate::Result;
use crate::idle_exit::IdleExitStep;
use crate::peer_socket::PeerSocket;
use crate::setup::failed;
use crate::sync::{Mutex, MutexGuard};

/// The listening socket of a server.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: Listener,
    location: SocketLocation,
    /// The greeting, which is the same for every client.
    greeting: (Header, Payload<'static>),
    classes: Arc<Classes>,
    policy: Policy,
    program: ProgramFile,
    key: std::sync::OnceLock<u64>,
    /// Whether clients are accepted. The lock is held while a client is accepted, so that no client
    /// is accepted between the last idle check and the end of the server.
    is_open: Mutex<bool>,
    /// A spare descriptor. When the process has no descriptors left, the server closes it to accept
    /// one client and report the error to that client.
    reserve: Mutex<Option<Event>>,
}

impl Acceptor {
    /// Starts to accept clients.
    pub(crate) fn open(
        reactor: &Arc<Reactor>,
        (listener, location): (Listener, SocketLocation),
        (greeting, classes): (&Greeting, Arc<Classes>),
        policy: Policy,
    ) -> Result<Arc<Self>> {
        const NO_ACCEPTOR: &str = "no clients can be let in";
        let no_reserve = failed("eventfd2", NO_ACCEPTOR);
        let reserve = Event::new().map_err(no_reserve).inspect_err(|_| location.give_up())?;
        let acceptor = Arc::new(Self {
            listener,
            location,
            greeting: greeting_frame(greeting),
            classes,
            policy,
            program: ProgramFile::current(),
            key: std::sync::OnceLock::new(),
            is_open: Mutex::new(true),
            reserve: Mutex::new(Some(reserve)),
        });
        let added = reactor.event_loop(Reactor::FIRST).add(
            |key| {
                let _ = acceptor.key.set(key);
                acceptor.clone()
            },
            |poller, key| poller.add(&acceptor.listener, key, Interest::WhileReadable),
        );
        let added = added.map_err(failed("epoll_ctl", NO_ACCEPTOR));
        added.inspect_err(|_| acceptor.location.give_up())?;
        Ok(acceptor)
    }

    /// Accepts one waiting client, so that the loop can then serve the clients it already has.
    /// Returns the connection if it was added to the first loop, which this thread runs.
    pub(crate) fn let_in(&self, reactor: &Arc<Reactor>) -> Option<Arc<ServerConnection>> {
        if self.program.is_replaced() {
            crate::log::warn!(
                "the program was replaced: this server ends, and the next client starts the new program"
            );
            // The server has not greeted the waiting clients, so they start the new program.
            reactor.drain();
            return None;
        }
        let is_open = self.is_open();
        if !*is_open {
            return None;
        }
        match self.listener.accept() {
            Ok(socket) => return self.let_one_in(reactor, socket),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Usually the process has no descriptors left. If not even one client can be refused,
            // the listener leaves the poller and is retried after [`RETRY`].
            Err(error) => {
                if !self.turn_one_away(reactor) {
                    crate::log::warn!(%error, "no client can be accepted now");
                    reactor.event_loop(Reactor::FIRST).poller().remove(self.listener.as_fd());
                    self.try_later(reactor);
                }
            }
        }
        None
    }

    /// Tries to accept clients again after a failure.
    fn rejoin(&self, reactor: &Arc<Reactor>) {
        let (is_open, first) = (self.is_open(), reactor.event_loop(Reactor::FIRST));
        let Some(key) = self.key.get().filter(|_| *is_open) else { return };
        if let Err(error) = first.poller().add(self.listener.as_fd(), *key, Interest::WhileReadable)
        {
            crate::log::warn!(%error, "no client can be accepted now");
            self.try_later(reactor);
        }
    }

    fn try_later(&self, reactor: &Reactor) {
        if let Some(key) = self.key.get() {
            reactor.set_timer(RETRY, *key, SourceTimer::Retry);
        }
    }

    fn let_one_in(
        &self,
        reactor: &Arc<Reactor>,
        socket: Seqpacket,
    ) -> Option<Arc<ServerConnection>> {
        let client = socket
            .peer()
            .inspect_err(|error| crate::log::warn!(%error, "the kernel doesn't name a client"))
            .ok()?;
        if !self.policy.allows(client.uid) {
            crate::log::warn!(pid = client.pid, uid = %client.uid, "a client was refused");
            let fault = Fault::NotAllowed { uid: client.uid.shown() };
            self.turn_away(reactor, socket, client, &fault);
            return None;
        }
        if reactor.is_full() {
            self.turn_away(reactor, socket, client, &Fault::Busy { limit: "clients".into() });
            return None;
        }
        let (client, here) = (ClientOrigin::OfSocket(client), Some(Reactor::FIRST));
        let object = ObjectOrigin::OfClass(self.classes.clone());
        socket
            .accept_handles()
            .and_then(|()| {
                ServerConnection::add(reactor, socket, client, &self.greeting, object, here)
            })
            .inspect_err(|error| crate::log::debug!(%error, "a client can't be served"))
            .ok()?
            .and_then(|added| added.is_here.then_some(added.connection))
    }

    /// Reports a fault to a client and closes its connection. Before Linux 6.16 the client may have
    /// sent handles already.
    fn turn_away(&self, reactor: &Reactor, socket: Seqpacket, client: Credentials, fault: &Fault) {
        let socket = PeerSocket::new(socket, reactor.quotas().of(client));
        refuse(reactor, &socket, fault);
    }

    /// Closes the spare descriptor to accept one client and report that the server is out of
    /// descriptors. Returns whether a client was accepted.
    fn turn_one_away(&self, reactor: &Reactor) -> bool {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        *reserve = None;
        let accepted = self.listener.accept();
        let turned_away = accepted.is_ok();
        if let Ok(socket) = accepted {
            if let Ok(client) = socket.peer() {
                let fault = Fault::Busy { limit: "descriptors".into() };
                self.turn_away(reactor, socket, client, &fault);
            }
        }
        *reserve = Event::new().ok();
        turned_away
    }

    /// Closes the listening socket if the server is still idle. The next client then starts another
    /// server. Returns `false` if the server must stay.
    fn close_if_idle(&self, reactor: &Arc<Reactor>) -> bool {
        // Both locks are held until the function returns.
        let (mut lock, mut is_open) = (None, None);
        let mut step = IdleExitStep::TryLock;
        loop {
            let done = match step {
                IdleExitStep::TryLock => {
                    lock = self.location.try_lock().ok();
                    lock.is_some()
                }
                IdleExitStep::Look => {
                    is_open = Some(self.is_open());
                    reactor.is_idle()
                }
                IdleExitStep::Stay => return false,
                IdleExitStep::End => break,
                step => self.leave(reactor, step),
            };
            step = step.next(done);
        }
        if let Some(mut is_open) = is_open {
            *is_open = false;
        }
        drop(lock);
        true
    }

    /// Closes the listening socket even if clients are connected.
    ///
    /// Does not wait for the lock, because its holder may be a client that waits for this server.
    /// In that case the socket file stays without a listener, and that client removes it.
    pub(crate) fn close(&self, reactor: &Arc<Reactor>) {
        let lock = self.location.try_lock();
        let mut is_open = self.is_open();
        *is_open = false;
        let mut step = IdleExitStep::RemoveSocket;
        while step != IdleExitStep::End {
            if step == IdleExitStep::RemoveSocket && lock.is_err() {
                self.leave_poller(reactor);
            } else {
                self.leave(reactor, step);
            }
            step = step.next(true);
        }
    }

    /// Takes a step that is the same for both ways of closing.
    fn leave(&self, reactor: &Arc<Reactor>, step: IdleExitStep) -> bool {
        match step {
            IdleExitStep::RemoveSocket => {
                self.leave_poller(reactor);
                self.location.remove();
            }
            // A socket that another process also listens on stays open for the next server.
            IdleExitStep::ShutDown if self.location.is_ours() => self.listener.shut_down(),
            IdleExitStep::DropQueue if self.location.is_ours() => {
                while let Ok(socket) = self.listener.accept() {
                    if let Ok(client) = socket.peer() {
                        drop(PeerSocket::new(socket, reactor.quotas().of(client)));
                    }
                }
            }
            _ => {}
        }
        true
    }

    fn leave_poller(&self, reactor: &Arc<Reactor>) {
        if let Some(key) = self.key.get() {
            reactor.remove_source(*key, self.listener.as_fd());
        }
    }

    fn is_open(&self) -> MutexGuard<'_, bool> {
        self.is_open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoopSource for Acceptor {
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        match self.let_in(context.reactor) {
            Some(connection) => connection.begin(context),
            None => EventOutcome::Otherwise,
        }
    }

    fn on_timer(self: Arc<Self>, reactor: &Arc<Reactor>, _: SourceTimer) {
        self.rejoin(reactor);
    }

    fn on_ending(self: Arc<Self>, reactor: &Arc<Reactor>, step: EndingStep) {
        if step == EndingStep::Drain {
            self.close(reactor);
        }
    }

    fn may_end(&self, reactor: &Arc<Reactor>) -> bool {
        self.close_if_idle(reactor)
    }
}

/// Serves the one client of a connection that was passed to the program.
pub(crate) fn admit(
    reactor: &Arc<Reactor>,
    socket: Seqpacket,
    greeting: &Greeting,
    classes: Arc<Classes>,
) -> io::Result<()> {
    socket.accept_handles()?;
    let client = socket.peer()?;
    let client = ClientOrigin::OfSocket(client);
    let object = ObjectOrigin::OfClass(classes);
    ServerConnection::add(reactor, socket, client, &greeting_frame(greeting), object, None)
        .map(drop)
}
