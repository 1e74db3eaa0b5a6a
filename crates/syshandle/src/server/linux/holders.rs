//! Withdrawing an object: the object's doors, connections and numbers, and the references in the
//! owner's process, which let it go together.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use super::reactor::Reactor;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;
use crate::withdrawal::Withdraw;

/// A holder of an object: a door, a connection, a number, or a reference in the owner's process.
pub(super) trait Holder: Send + Sync {
    /// Lets the object go because its owner has withdrawn it.
    fn withdraw(&self, reactor: &Arc<Reactor>);
}

/// The holders of an object that its owner can withdraw.
pub(crate) struct Holders {
    reactor: Weak<Reactor>,
    is_withdrawn: AtomicBool,
    /// May contain holders that no longer exist. Empty after the object was withdrawn.
    list: Mutex<Vec<Weak<dyn Holder>>>,
}

impl Holders {
    pub(super) fn new(reactor: &Arc<Reactor>) -> Arc<Self> {
        let (is_withdrawn, list) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { reactor: Arc::downgrade(reactor), is_withdrawn, list })
    }

    /// Adds a holder. If the object was withdrawn, the holder lets it go at once.
    pub(super) fn add<H: Holder + 'static>(&self, reactor: &Arc<Reactor>, holder: &Arc<H>) {
        let weak: Weak<H> = Arc::downgrade(holder);
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_withdrawn() {
            drop(list);
            return holder.withdraw(reactor);
        }
        if list.len() == list.capacity() {
            list.retain(|holder| holder.strong_count() > 0);
        }
        list.push(weak);
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.is_withdrawn.load(Ordering::SeqCst)
    }
}

impl Withdraw for Holders {
    fn withdraw(&self) -> bool {
        // A forked copy shares the sockets of the holders.
        let reactor = self.reactor.upgrade().filter(|reactor| reactor.is_own());
        let Some(reactor) = reactor else { return false };
        let mut guard = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_withdrawn.swap(true, Ordering::SeqCst) {
            return false;
        }
        let list = std::mem::take(&mut *guard);
        drop(guard);
        for holder in list.iter().filter_map(Weak::upgrade) {
            holder.withdraw(&reactor);
        }
        // The server may have to end now, and this thread may not be one of its own.
        reactor.look_around();
        true
    }
}

impl std::fmt::Debug for Holders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holders")
            .field("is_withdrawn", &self.is_withdrawn())
            .finish_non_exhaustive()
    }
}
