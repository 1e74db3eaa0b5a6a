//! Withdrawing an object: the forms of it that clients call let it go together.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::objects::ProgramObject;
use super::session::HeldObject;
use crate::withdrawal::Withdraw;

/// The holders of an object that its owner can withdraw: one for each client, and one for the
/// owner's own references.
#[derive(Debug)]
pub(crate) struct Holders {
    /// May contain holders that no longer exist; `None` after the object was withdrawn.
    list: Mutex<Option<Vec<Weak<ProgramObject>>>>,
}

impl Holders {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { list: Mutex::new(Some(Vec::new())) })
    }

    /// Adds a holder. If the object was withdrawn, the holder lets it go at once.
    pub(super) fn add(&self, holder: &Arc<ProgramObject>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(list) = &mut *list else {
            drop(list);
            return holder.release();
        };
        if list.len() == list.capacity() {
            list.retain(|holder| holder.strong_count() > 0);
        }
        list.push(Arc::downgrade(holder));
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Withdraw for Holders {
    fn withdraw(&self) -> bool {
        // Dropping the object runs user code, so the lock is released before.
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner).take();
        for holder in list.iter().flatten().filter_map(Weak::upgrade) {
            holder.release();
        }
        list.is_some()
    }
}
