//! The object of a connection or a door, whose destructor is user code.
//!
//! A client chooses when its connections and doors end. So a destructor that blocks counts among
//! the client's running methods, and the connection or door counts in the client's quota until the
//! destructor returns.

use std::sync::{Arc, OnceLock, Weak};

use super::activity::{Hold, What};
use super::reactor::Reactor;
use super::receiving::Acted;
use super::sentinel::Post;
use super::task::Code;
use crate::Object;
use crate::class::AnyInterface;
use crate::quota::{Quota, QuotaGuard};

/// The object of a connection or a door.
///
/// If dropped other than by a [`Release`], a worker thread releases the object.
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
pub(super) struct Release {
    object: ClientObject,
    _hold: Hold,
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
    pub(super) fn release(mut self, reactor: &Arc<Reactor>, post: &Post) -> Acted {
        let Some(release) = self.take(reactor) else { return Acted::Otherwise };
        drop(self);
        match reactor.sentinel.try_start_unknown(post, reactor, release.quota()) {
            Some(running) => {
                release.run();
                Acted::after(running, reactor)
            }
            None => {
                reactor.crew.add_task(reactor, Code::Release(release).into());
                Acted::Otherwise
            }
        }
    }

    fn take(&mut self, reactor: &Reactor) -> Option<Release> {
        let object = self.object.take()?;
        let interface = self.interface.take().map(OnceLock::from).unwrap_or_default();
        let object = Self {
            object: object.into(),
            interface,
            // The `Release` drops the object itself, so its drop must not queue another one.
            reactor: Weak::new(),
            quota: self.quota.clone(),
            quota_guard: self.quota_guard.clone(),
        };
        Some(Release { object, _hold: reactor.hold(What::Work) })
    }
}

impl Drop for ClientObject {
    fn drop(&mut self) {
        if let Some(reactor) = self.reactor.upgrade()
            && let Some(release) = self.take(&reactor)
        {
            reactor.crew.add_task(&reactor, Code::Release(release).into());
        }
    }
}

impl Release {
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
