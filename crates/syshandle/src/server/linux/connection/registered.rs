//! The registered handles of a connection, on the side of the server.

use std::os::fd::AsFd;
use std::sync::{Arc, Weak};

use syshandle_os::{Interest, OwnedHandle, PollEvent};
use syshandle_wire::{Features, SlotNotes};

use super::{ServerConnection, SharedState};
use crate::quota::{KEPT_HANDLE_BYTES, Quota, Resource};
use crate::server::linux::reactor::event_loop::{EventOutcome, LoopContext, LoopSource};
use crate::server::linux::reactor::{Reactor, UserCode};
use crate::slots::{KeptGuard, KeptHandle, SlotConnection, Slots};

impl ServerConnection {
    /// Returns the registered handles, if the client passes and keeps any.
    #[inline]
    pub(super) fn slots(&self, shared: &SharedState) -> Option<&Arc<Slots>> {
        let is_in_effect = shared.calls.features().contains(Features::REGISTERED_HANDLES);
        is_in_effect.then_some(&self.slots)
    }

    /// Keeps a handle of the client, unless that exceeds its quota.
    pub(super) fn keep(
        self: &Arc<Self>,
        shared: &mut SharedState,
        reactor: &Arc<Reactor>,
        token: u16,
        handle: OwnedHandle,
    ) -> Result<Arc<KeptHandle>, OwnedHandle> {
        let quota = &self.session.quota;
        let reserve = || {
            // Half of the client's descriptors are left for its calls, connections and tasks.
            let guard = quota.take(Resource::Memory(KEPT_HANDLE_BYTES), 1).ok()?;
            let is_left = quota.free_descriptors() >= quota.limits().descriptors / 2;
            is_left.then_some(KeptGuard::OfQuota(guard))
        };
        let by = (&*reactor.settings().filesystems, quota);
        self.slots.keep(token, handle, by, reserve, || self.watch_death(shared, reactor))
    }

    /// Has the end of the client's process end the connection. Returns whether it will.
    fn watch_death(self: &Arc<Self>, shared: &mut SharedState, reactor: &Arc<Reactor>) -> bool {
        if shared.death_watch.is_some() {
            return true;
        }
        let Ok(process) = self.session.process(&self.link.socket) else { return false };
        let source = |_| -> Arc<dyn LoopSource> { Arc::new(ClientDeath(Arc::downgrade(self))) };
        let watched = reactor
            .event_loop(Reactor::FIRST)
            .add(source, |poller, key| poller.add(process, key, Interest::OnceReadable));
        match watched {
            Ok(key) => {
                shared.death_watch = Some(key);
                true
            }
            Err(error) => {
                crate::log::debug!(%error, "a client's process can't be watched");
                false
            }
        }
    }

    /// Stops to watch the client's process. The session may watch it from now on.
    pub(super) fn end_death_watch(&self, reactor: &Reactor, watch: Option<u64>) {
        if let (Some(key), Ok(process)) = (watch, self.session.process(&self.link.socket)) {
            reactor.remove_source(key, process.as_fd());
        }
    }

    /// Drops handles that are no longer kept. Many of them take long.
    pub(super) fn drop_kept(&self, reactor: &Arc<Reactor>, handles: Vec<Arc<KeptHandle>>) {
        if handles.len() > DROPPED_AT_ONCE {
            let quota: &Arc<Quota> = &self.session.quota;
            reactor.run_beside(UserCode::boxed(quota, move |_| drop(handles)));
        }
    }

    /// Sends the notes about slots, as far as the socket has room.
    pub(super) fn send_notes(&self) {
        if self.slots.has_notes() {
            self.slots.send_notes(|notes| {
                let (header, body) = SlotNotes::write(notes);
                self.link.send(&header, &body.into(), &[]).is_ok()
            });
        }
    }
}

impl SlotConnection for ServerConnection {
    fn send_slot_notes(&self) {
        let shared = self.shared();
        if !shared.state.is_closed() {
            self.send_notes();
        }
    }
}

/// The process of a client that has registered a socket.
struct ClientDeath(Weak<ServerConnection>);

impl LoopSource for ClientDeath {
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        let running = context.start_running();
        if let Some(connection) = self.0.upgrade() {
            connection.end(context.reactor, false);
        }
        EventOutcome::after(running)
    }

    fn owner(&self) -> Option<&Arc<Quota>> {
        None
    }
}

/// Number of kept handles that are dropped on the thread of a loop.
const DROPPED_AT_ONCE: usize = 256;
