//! The object of a connection or a door, whose destructor is user code.
//!
//! A client chooses when its connections and doors end. So a destructor that blocks counts among
//! the client's running methods, and the connection or door counts in the client's quota until the
//! destructor returns.

use std::sync::{Arc, OnceLock, Weak};

use super::activity::{ActivityKind, KeepAlive};
use super::reactor::Reactor;
use super::receiving::EventOutcome;
use super::watchdog::WorkerSlot;
use super::work_item::UserCode;
use crate::class::AnyInterface;
use crate::class::Object;
use crate::quota::{Quota, QuotaGuard};

/// The object of a connection or a door.
///
/// If dropped other than by an [`ObjectRelease`], a worker thread releases the object.
pub(super) struct ClientObject {
    pub(super) object: OnceLock<Object>,
    pub(super) interface: OnceLock<Arc<dyn AnyInterface>>,
    reactor: Weak<Reactor>,
    quota: Arc<Quota>,
    /// The part of the quota that the connection or door takes.
    quota_guard: Arc<QuotaGuard>,
}

/// An object to be dropped.
#[derive(Debug)]
pub(super) struct ObjectRelease {
    object: ClientObject,
    _keep_alive: KeepAlive,
}

impl ClientObject {
    pub(super) fn new(
        reactor: &Arc<Reactor>,
        quota: &Arc<Quota>,
        object: Option<Object>,
        quota_guard: QuotaGuard,
    ) -> Self {
        Self {
            object: object.map(OnceLock::from).unwrap_or_default(),
            interface: OnceLock::new(),
            reactor: Arc::downgrade(reactor),
            quota: quota.clone(),
            quota_guard: Arc::new(quota_guard),
        }
    }

    /// Releases the object on this thread, or on a worker thread if it has to run beside the event
    /// loop or the client has too many running methods.
    pub(super) fn release(mut self, reactor: &Arc<Reactor>, slot: &WorkerSlot) -> EventOutcome {
        let Some(release) = self.take(reactor) else { return EventOutcome::Otherwise };
        drop(self);
        match reactor.watchdog.try_start_unknown(slot, reactor, release.quota()) {
            Some(running) => {
                release.run();
                EventOutcome::after(running, reactor)
            }
            None => {
                reactor.workers.add_work(reactor, UserCode::Release(release).into());
                EventOutcome::Otherwise
            }
        }
    }

    fn take(&mut self, reactor: &Reactor) -> Option<ObjectRelease> {
        let object = self.object.take()?;
        let interface = self.interface.take().map(OnceLock::from).unwrap_or_default();
        let object = Self {
            object: object.into(),
            interface,
            // The `ObjectRelease` drops the object itself, so its drop must not queue another one.
            reactor: Weak::new(),
            quota: self.quota.clone(),
            quota_guard: self.quota_guard.clone(),
        };
        Some(ObjectRelease { object, _keep_alive: reactor.keep_alive(ActivityKind::Work) })
    }
}

impl Drop for ClientObject {
    fn drop(&mut self) {
        let Some(reactor) = self.reactor.upgrade() else { return };
        if let Some(release) = self.take(&reactor) {
            reactor.workers.add_work(&reactor, UserCode::Release(release).into());
        }
    }
}

impl ObjectRelease {
    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.object.quota
    }

    /// Drops the object.
    pub(super) fn run(self) {
        drop(self);
    }
}

impl std::fmt::Debug for ClientObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientObject").field("object", &self.object.get()).finish_non_exhaustive()
    }
}
