//! The failures of one-way calls that the server has reported.
//!
//! A one-way call is made when its frame was sent. The server reports only its failure. The frame of
//! a call contains a number that stands for the reference through which the call was made, so that
//! the failure reaches that reference.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};

use syshandle_types::describe::Interface as Description;
use syshandle_wire::Fault;

use crate::method_ref::MethodRef;
use crate::sync::Mutex;
use crate::{Error, Result};

/// A reference that has made one-way calls.
#[derive(Debug)]
pub(super) struct OneWayCaller {
    /// The number that its calls have.
    number: u32,
    /// The error of the first call that failed since the last flush.
    failure: Mutex<Option<Error>>,
}

impl OneWayCaller {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Takes the error of the first call that failed since the last flush.
    pub(super) fn take_failure(&self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }
}

/// The references of a connection that have made one-way calls, by their numbers.
#[derive(Debug, Default)]
pub(super) struct OneWayCallers {
    callers: BTreeMap<u32, (&'static Description, Weak<OneWayCaller>)>,
    last: u32,
    /// Number of references after which those that were dropped are removed.
    remove_at: usize,
    /// Failures that were not logged yet.
    unlogged: Vec<OneWayFailure>,
}

/// The failure of a one-way call. Logged on drop.
#[derive(Debug)]
pub(super) struct OneWayFailure {
    method: Option<MethodRef>,
    error: Error,
}

impl OneWayCallers {
    /// Adds a reference.
    pub(super) fn add(&mut self, interface: &'static Description) -> Arc<OneWayCaller> {
        if self.callers.len() >= self.remove_at {
            self.callers.retain(|_, (_, caller)| caller.strong_count() > 0);
            self.remove_at = (2 * self.callers.len()).max(CALLERS_MIN);
        }
        while self.callers.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1);
        }
        let caller = Arc::new(OneWayCaller { number: self.last, failure: Mutex::default() });
        self.callers.insert(caller.number, (interface, Arc::downgrade(&caller)));
        self.last = self.last.wrapping_add(1);
        caller
    }

    /// Records that a call of the reference with this number failed. The reference may have been
    /// dropped.
    #[cold]
    pub(super) fn failed(&mut self, number: u32, method: u32, fault: &Fault) {
        let caller = self.callers.get(&number);
        let method = caller.map(|(interface, _)| MethodRef { interface, method });
        let error = || match method {
            Some(method) => method.told(fault),
            None => Error::from_fault(fault),
        };
        if let Some(caller) = caller.and_then(|(_, caller)| caller.upgrade()) {
            let mut failure = caller.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(error);
        }
        self.unlogged.push(OneWayFailure { method, error: error() });
    }

    /// Returns whether failures were not logged yet.
    #[inline]
    pub(super) fn has_unlogged(&self) -> bool {
        !self.unlogged.is_empty()
    }

    /// Takes the failures that were not logged yet.
    #[cold]
    pub(super) fn take_unlogged(&mut self) -> Vec<OneWayFailure> {
        std::mem::take(&mut self.unlogged)
    }
}

impl Drop for OneWayFailure {
    fn drop(&mut self) {
        let Self { method, error } = self;
        match method {
            Some(method) => crate::log::warn!(%method, %error, "a one-way call failed"),
            None => crate::log::warn!(%error, "a one-way call failed"),
        }
    }
}

/// Number of references below which none are removed.
const CALLERS_MIN: usize = 64;
