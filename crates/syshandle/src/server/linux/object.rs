//! The object of a connection or a door, whose destructor is user code.
//!
//! A client chooses when its connections and doors end. So a destructor that blocks counts among
//! the client's running methods, and the connection or door counts in the client's quota until the
//! destructor returns.

use std::sync::{Arc, OnceLock, Weak};

use super::holders::Holders;
use super::reactor::activity::{ActivityKind, KeepAlive};
use super::reactor::event_loop::{EventOutcome, LoopContext};
use super::reactor::method_times::MethodTimes;
use super::reactor::{Reactor, UserCode};
use crate::quota::{Quota, QuotaGuard};
use crate::untyped_object::{AnyInterface, Object};

/// The object of a connection or a door.
///
/// If dropped other than by an [`ObjectRelease`], a worker thread releases the object.
pub(super) struct ClientObject {
    object: OnceLock<Object>,
    interface: OnceLock<Arc<dyn AnyInterface>>,
    /// Lets the owner of the object withdraw it; `None` if the object has no owner but its client.
    holders: Option<Arc<Holders>>,
    /// Measured run times of the interface's methods. Set with the interface.
    methods: OnceLock<Arc<MethodTimes>>,
    reactor: Weak<Reactor>,
    quota: Arc<Quota>,
    /// The part of the quota that the connection or door takes.
    quota_guard: Arc<QuotaGuard>,
}

/// An object to be dropped.
#[derive(Debug)]
struct ObjectRelease {
    object: ClientObject,
    _keep_alive: KeepAlive,
}

impl ClientObject {
    pub(super) fn new(
        reactor: &Arc<Reactor>,
        quota: &Arc<Quota>,
        (object, holders): (Option<Object>, Option<Arc<Holders>>),
        quota_guard: QuotaGuard,
    ) -> Self {
        Self {
            object: object.map(OnceLock::from).unwrap_or_default(),
            interface: OnceLock::new(),
            holders,
            methods: OnceLock::new(),
            reactor: Arc::downgrade(reactor),
            quota: quota.clone(),
            quota_guard: Arc::new(quota_guard),
        }
    }

    /// Returns the object, once it was found or created.
    #[inline]
    pub(super) fn object(&self) -> Option<&Object> {
        self.object.get()
    }

    /// Returns the interface that the client uses, once the object exists.
    #[inline]
    pub(super) fn interface(&self) -> Option<&Arc<dyn AnyInterface>> {
        self.interface.get()
    }

    /// Returns the reactor, unless it has ended.
    pub(super) fn reactor(&self) -> Option<Arc<Reactor>> {
        self.reactor.upgrade()
    }

    /// Returns the quota of the client that causes the object's destructor.
    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// Returns the holders of the object, if its owner can withdraw it.
    pub(super) fn holders(&self) -> Option<&Arc<Holders>> {
        self.holders.as_ref()
    }

    /// Returns the part of the quota that the object takes.
    pub(super) fn quota_guard(&self) -> &Arc<QuotaGuard> {
        &self.quota_guard
    }

    /// Returns whether the owner of the object has withdrawn it.
    #[inline]
    pub(super) fn is_withdrawn(&self) -> bool {
        self.holders.as_ref().is_some_and(|holders| holders.is_withdrawn())
    }

    /// Sets the object, unless there is one.
    pub(super) fn set(&self, object: Object) {
        let _ = self.object.set(object);
    }

    /// Returns the measured run times of the methods, once the object exists.
    #[inline]
    pub(super) fn methods(&self) -> Option<&Arc<MethodTimes>> {
        self.methods.get()
    }

    /// Sets the interface that the client uses.
    pub(super) fn set_interface(&self, interface: Arc<dyn AnyInterface>, reactor: &Reactor) {
        let _ = self.methods.set(reactor.methods().of(interface.description()));
        let _ = self.interface.set(interface);
    }

    /// Releases the object on this thread, or on a worker thread if it has to run beside the event
    /// loop or the client has too many running methods.
    pub(super) fn release(mut self, context: LoopContext<'_>) -> EventOutcome {
        let Some(release) = self.take(context.reactor) else { return EventOutcome::Otherwise };
        drop(self);
        match context.try_start_unknown(&release.object.quota) {
            Some(running) => {
                drop(release);
                EventOutcome::after(running)
            }
            None => {
                release.run_beside(context.reactor);
                EventOutcome::Otherwise
            }
        }
    }

    /// Releases the object on this thread.
    pub(super) fn release_here(mut self, reactor: &Reactor) {
        drop(self.take(reactor));
    }

    fn take(&mut self, reactor: &Reactor) -> Option<ObjectRelease> {
        let object = self.object.take()?;
        let interface = self.interface.take().map(OnceLock::from).unwrap_or_default();
        let object = Self {
            object: object.into(),
            interface,
            holders: None,
            methods: OnceLock::new(),
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
            release.run_beside(&reactor);
        }
    }
}

/// Releases objects on worker threads, in batches. Others get a turn between two batches.
pub(super) fn release_beside(
    reactor: &Arc<Reactor>,
    quota: &Arc<Quota>,
    mut objects: impl Iterator<Item = Arc<ClientObject>> + Send + 'static,
) {
    let batch: Vec<_> = objects.by_ref().take(RELEASED_AT_ONCE).collect();
    if batch.is_empty() {
        return;
    }
    let keep_alive = reactor.keep_alive(ActivityKind::Work);
    let its_quota = quota.clone();
    reactor.run_beside(UserCode::boxed(quota, move |reactor| {
        release_here(reactor, batch);
        release_beside(reactor, &its_quota, objects);
        drop(keep_alive);
    }));
}

/// Releases objects on this thread. An object that a method still uses is released when that method
/// ends.
pub(super) fn release_here(reactor: &Reactor, objects: Vec<Arc<ClientObject>>) {
    for object in objects.into_iter().filter_map(Arc::into_inner) {
        object.release_here(reactor);
    }
}

/// Limit of the objects that a thread releases before others get a turn.
pub(super) const RELEASED_AT_ONCE: usize = 64;

impl ObjectRelease {
    /// Has a worker thread drop the object.
    fn run_beside(self, reactor: &Arc<Reactor>) {
        let quota = self.object.quota.clone();
        reactor.run_beside(UserCode::boxed(&quota, move |_| drop(self)));
    }
}

impl std::fmt::Debug for ClientObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientObject").field("object", &self.object.get()).finish_non_exhaustive()
    }
}
