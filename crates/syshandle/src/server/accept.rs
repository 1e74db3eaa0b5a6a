//! Where clients come in: the listening socket.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use syshandle_os::{Credentials, Event, Interest, Listener, Peer, Seqpacket};
use syshandle_wire::{Fault, Greeting, Header, Payload, ServerEnd};

use super::connection::{Client, Connection};
use super::event_loop::Source;
use super::policy::Policy;
use super::program_file::ProgramFile;
use super::reactor::{RETRY, Reactor};
use super::timers::Timer;
use crate::Result;
use crate::activation::lifetime::Place;
use crate::activation::protocol::Leave;
use crate::peer_socket::PeerSocket;
use crate::setup::failed;
use crate::sync::{Mutex, MutexGuard, now};

/// The listening socket of a server.
#[derive(Debug)]
pub(crate) struct Entrance {
    listener: Listener,
    place: Place,
    /// The same for every client.
    greeting: (Header, Payload<'static>),
    policy: Policy,
    program: ProgramFile,
    key: std::sync::OnceLock<u64>,
    /// Whether clients are let in. Locked while one is: so none comes in between the last look
    /// whether anybody is there and the end.
    is_open: Mutex<bool>,
    /// A descriptor to give up when there are no others, so that a client can be told so.
    reserve: Mutex<Option<Event>>,
}

impl Entrance {
    /// Lets clients in from now on.
    pub(crate) fn open(
        reactor: &Arc<Reactor>,
        listener: Listener,
        place: Place,
        greeting: &Greeting,
        policy: Policy,
    ) -> Result<Arc<Self>> {
        const NO_ENTRANCE: &str = "no clients can be let in";
        let no_reserve = failed("eventfd2", NO_ENTRANCE);
        let reserve = Event::new().map_err(no_reserve).inspect_err(|_| place.give_up())?;
        let entrance = Arc::new(Self {
            listener,
            place,
            greeting: written(greeting),
            policy,
            program: ProgramFile::current(),
            key: std::sync::OnceLock::new(),
            is_open: Mutex::new(true),
            reserve: Mutex::new(Some(reserve)),
        });
        let added = reactor.event_loop(Reactor::FIRST).add(
            |key| {
                let _ = entrance.key.set(key);
                Source::Entrance(entrance.clone())
            },
            |poller, key| poller.add(&entrance.listener, key, Interest::WhileReadable),
        );
        let added = added.map_err(failed("epoll_ctl", NO_ENTRANCE));
        added.inspect_err(|_| entrance.place.give_up())?;
        Ok(entrance)
    }

    /// Lets in one of those who have connected: then it may be the turn of those who are in. When
    /// the loop of the entrance has it, it is returned.
    pub(crate) fn let_in(&self, reactor: &Arc<Reactor>) -> Option<Arc<Connection>> {
        if self.program.is_replaced() {
            crate::log::warn!(
                "the program was replaced: this server ends, the next one is the new"
            );
            // Clients that wait haven't been greeted: they start the new one.
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
            // Told once: the system has no descriptors left.
            Err(error) => {
                if !self.turn_one_away(reactor) {
                    crate::log::warn!(%error, "no client can be let in now");
                    reactor.event_loop(Reactor::FIRST).poller().remove(self.listener.as_fd());
                    reactor.timers.set(now() + RETRY, Timer::Accept);
                }
            }
        }
        None
    }

    /// Clients can be let in again, it may be.
    pub(crate) fn rejoin(&self, reactor: &Arc<Reactor>) {
        let (is_open, first) = (self.is_open(), reactor.event_loop(Reactor::FIRST));
        let Some(key) = self.key.get().filter(|_| *is_open) else { return };
        if let Err(error) = first.poller().add(self.listener.as_fd(), *key, Interest::WhileReadable)
        {
            crate::log::warn!(%error, "no client can be let in now");
            reactor.timers.set(now() + RETRY, Timer::Accept);
        }
    }

    fn let_one_in(&self, reactor: &Arc<Reactor>, socket: Seqpacket) -> Option<Arc<Connection>> {
        let client = socket
            .peer()
            .inspect_err(|error| crate::log::warn!(%error, "the kernel doesn't name a client"))
            .ok()?;
        if !self.policy.allows(client.uid) {
            crate::log::warn!(user = %client.uid, pid = client.pid, "a client was turned away");
            let fault = Fault::NotAllowed { uid: client.uid.shown() };
            self.turn_away(reactor, socket, client, &fault);
            return None;
        }
        if reactor.is_full() {
            self.turn_away(reactor, socket, client, &Fault::Busy { limit: "clients".into() });
            return None;
        }
        let (client, here) = (Client::OfSocket(client), Some(Reactor::FIRST));
        socket
            .accept_handles()
            .and_then(|()| Connection::add(reactor, socket, client, &self.greeting, None, here))
            .inspect_err(|error| crate::log::debug!(%error, "a client can't be served"))
            .ok()?
            .and_then(|added| added.is_here.then_some(added.connection))
    }

    /// Tells a client that it isn't served, and closes its connection. Before Linux 6.16 it may have
    /// sent handles already.
    fn turn_away(&self, reactor: &Reactor, socket: Seqpacket, client: Credentials, fault: &Fault) {
        let socket = PeerSocket::new(socket, reactor.shares.of(client));
        refuse(&socket, fault);
    }

    /// Without descriptors left: gives up the reserve to take one client and tell it so.
    fn turn_one_away(&self, reactor: &Reactor) -> bool {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        *reserve = None;
        let accepted = self.listener.accept();
        let turned_away = accepted.is_ok();
        if let Ok(socket) = accepted
            && let Ok(client) = socket.peer()
        {
            let fault = Fault::Busy { limit: "descriptors".into() };
            self.turn_away(reactor, socket, client, &fault);
        }
        *reserve = Event::new().ok();
        turned_away
    }

    /// Closes the entrance if nobody has come in meanwhile; from then on the next client starts
    /// another server.
    pub(crate) fn close_if_idle(&self, reactor: &Arc<Reactor>) -> bool {
        // Both held until the end.
        let (mut lock, mut is_open) = (None, None);
        let mut step = Leave::TryLock;
        loop {
            let done = match step {
                Leave::TryLock => {
                    lock = self.place.try_lock().ok();
                    lock.is_some()
                }
                Leave::Look => {
                    is_open = Some(self.is_open());
                    reactor.activity.is_idle()
                }
                Leave::Stay => return false,
                Leave::End => break,
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

    /// Closes the entrance, though there may be clients.
    ///
    /// Doesn't wait for the lock: its holder may be a client that waits for this server. Then the
    /// socket stays where it is, without a listener, and that client removes it.
    pub(crate) fn close(&self, reactor: &Arc<Reactor>) {
        let lock = self.place.try_lock();
        let mut is_open = self.is_open();
        *is_open = false;
        let mut step = Leave::RemoveSocket;
        while step != Leave::End {
            if step == Leave::RemoveSocket && lock.is_err() {
                self.leave_poller(reactor);
            } else {
                self.leave(reactor, step);
            }
            step = step.next(true);
        }
    }

    /// Takes a step that is the same for all who leave.
    fn leave(&self, reactor: &Arc<Reactor>, step: Leave) -> bool {
        match step {
            Leave::RemoveSocket => {
                self.leave_poller(reactor);
                self.place.remove();
            }
            // One that somebody else listens on, too, goes on with the next server.
            Leave::ShutDown if self.place.is_ours() => self.listener.shut_down(),
            Leave::DropQueue if self.place.is_ours() => {
                while let Ok(socket) = self.listener.accept() {
                    if let Ok(client) = socket.peer() {
                        drop(PeerSocket::new(socket, reactor.shares.of(client)));
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

/// Serves the one client of a connection that the program was given.
pub(crate) fn admit(
    reactor: &Arc<Reactor>,
    socket: Seqpacket,
    greeting: &Greeting,
) -> io::Result<()> {
    socket.accept_handles()?;
    let client = socket.peer()?;
    let client = Client::OfSocket(client);
    Connection::add(reactor, socket, client, &written(greeting), None, None).map(drop)
}

/// A greeting, as it is sent.
pub(super) fn written(greeting: &Greeting) -> (Header, Payload<'static>) {
    let (header, body) = ServerEnd::<()>::greeting(greeting);
    (header, body.into())
}

/// Tells a client that it isn't served.
pub(super) fn refuse(socket: &Seqpacket, fault: &Fault) {
    let (header, body) = ServerEnd::<()>::refused(fault);
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    // If it is gone it needn't be told.
    let _ = socket.send(&[io::IoSlice::new(&head[..len]), io::IoSlice::new(&body)], &[]);
}
