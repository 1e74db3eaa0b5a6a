//! The part of a client's quota that the arguments of a call take.
//!
//! A background task may capture the arguments of the call that starts it. The library can't see
//! what a closure contains, so all arguments count until the call and its tasks have ended.

use std::sync::{Arc, PoisonError};

use syshandle_types::Limits;

use crate::quota::{Quota, QuotaGuard, Resource};
use crate::sync::{Mutex, MutexGuard};

/// The guards of a call. The tasks that the call starts, and clones of its context, share them.
#[derive(Debug)]
pub(super) struct ArgumentQuota {
    /// Number of encoded bytes.
    len: usize,
    owner: Mutex<GuardOwner>,
}

#[derive(Debug)]
enum GuardOwner {
    /// Only the call has the guards, so nothing is allocated.
    Call(ArgumentGuards),
    Shared(Arc<ArgumentGuards>),
}

/// The guards of the descriptors and the memory of a call's arguments.
#[derive(Debug, Default)]
pub(super) struct ArgumentGuards {
    handles: Option<QuotaGuard>,
    memory: Option<QuotaGuard>,
}

impl ArgumentQuota {
    /// Creates the quota of arguments with `len` encoded bytes.
    pub(super) fn new(handles: Option<QuotaGuard>, len: usize) -> Self {
        let guards = ArgumentGuards { handles, memory: None };
        Self { len, owner: Mutex::new(GuardOwner::Call(guards)) }
    }

    /// Adds the memory that the decoder has reserved. Must be called before the method runs.
    pub(super) fn add_memory(&self, memory: QuotaGuard) {
        if let GuardOwner::Call(guards) = &mut *self.owner() {
            guards.memory = Some(memory);
        }
    }

    /// Shares the guards with a task. Returns `None` if the arguments take nothing.
    ///
    /// # Errors
    /// Returns the name of the limit if the client has no memory left.
    pub(super) fn share(
        &self,
        quota: &Arc<Quota>,
    ) -> Result<Option<Arc<ArgumentGuards>>, &'static str> {
        if let GuardOwner::Call(guards) = &mut *self.owner() {
            if guards.memory.is_none() && self.len > 0 {
                // The decoder reserves nothing for small values.
                let memory = self.len.saturating_mul(Limits::DECODED_PER_BYTE).min(UNRESERVED_MAX);
                guards.memory = Some(quota.take(Resource::Memory(memory), 0)?);
            }
        }
        Ok(self.share_guards())
    }

    fn share_guards(&self) -> Option<Arc<ArgumentGuards>> {
        let mut owner = self.owner();
        let shared = match &mut *owner {
            GuardOwner::Call(ArgumentGuards { handles: None, memory: None }) => return None,
            GuardOwner::Call(guards) => Arc::new(std::mem::take(guards)),
            GuardOwner::Shared(guards) => guards.clone(),
        };
        *owner = GuardOwner::Shared(shared.clone());
        Some(shared)
    }

    fn owner(&self) -> MutexGuard<'_, GuardOwner> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for ArgumentQuota {
    fn clone(&self) -> Self {
        let owner = match self.share_guards() {
            Some(guards) => GuardOwner::Shared(guards),
            None => GuardOwner::Call(ArgumentGuards::default()),
        };
        Self { len: self.len, owner: Mutex::new(owner) }
    }
}

/// Maximum memory of decoded values for which the decoder reserves nothing.
const UNRESERVED_MAX: usize = 64 * 1024;
