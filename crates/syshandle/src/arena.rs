//! The shared memory of a connection, which carries the large bodies of calls and replies. Each
//! direction has its own memory, which is created for the first large body.
//!
//! The kernel charges each page to the process that touches it first: the sender that writes the
//! page, or the receiver that reads a hole. A server counts both in the quota of its client.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use syshandle_os::{BorrowedHandle, OwnedHandle, SharedReader, SharedWriter};
use syshandle_types::Limits;
use syshandle_wire::{Fault, Violation};

use crate::quota::{Quota, QuotaGuard, Resource};
use crate::sync::{Mutex, MutexGuard};

/// The memory that this side writes.
#[derive(Debug, Default)]
pub(crate) struct OutgoingArena {
    state: Mutex<OutgoingArenaState>,
    /// Whether a body was written since the last check for unused memory.
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct OutgoingArenaState {
    writer: Option<Arc<SharedWriter>>,
    /// Whether the handle was sent to the peer.
    sent: bool,
    /// Amount of the peer's quota that this memory uses.
    quota_guard: Option<QuotaGuard>,
}

/// The memory that the peer writes.
#[derive(Debug, Default)]
pub(crate) struct IncomingArena {
    reader: OnceLock<SharedReader>,
    /// Whether the handle was lost because this process had no free descriptors.
    lost: AtomicBool,
    /// Amount of the peer's quota that this memory uses.
    quota_guard: Mutex<Option<QuotaGuard>>,
}

impl OutgoingArena {
    /// Creates the memory for a body of `len` bytes, unless it exists. Returns its size, which is
    /// less than [`Limits::ARENA_BYTES`] if the file size limit of this process is lower.
    ///
    /// # Errors
    /// `FileTooLarge` if the memory is too small; `QuotaExceeded`; the errors of
    /// [`SharedWriter::new`].
    pub(crate) fn prepare(&self, len: usize, quota: &Arc<Quota>) -> io::Result<usize> {
        let mut state = self.state();
        let size = match &state.writer {
            Some(writer) => writer.len(),
            None => {
                let quota_guard = quota.take(Resource::Memory(0), 1).map_err(past_limit)?;
                let writer = SharedWriter::new(Limits::ARENA_BYTES)?;
                let size = writer.len();
                (state.writer, state.quota_guard) = (Some(Arc::new(writer)), Some(quota_guard));
                size
            }
        };
        if len > size {
            let text = format!(
                "{len} bytes need shared memory, and this process may write files of at most {size} \
                 bytes (RLIMIT_FSIZE)"
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(size)
    }

    /// Allocates the memory up to the offset `end`. If the peer doesn't have the handle of the
    /// memory yet, sends it with `send`, before any frame refers to the memory.
    pub(crate) fn allocate(
        &self,
        end: usize,
        send: impl FnOnce(BorrowedHandle<'_>) -> io::Result<()>,
    ) -> io::Result<Arc<SharedWriter>> {
        let mut state = self.state();
        let OutgoingArenaState { writer, sent, quota_guard } = &mut *state;
        let Some(writer) = writer else { return Err(io::ErrorKind::NotFound.into()) };
        self.used.store(true, Ordering::Relaxed);
        if end > writer.allocated() {
            // Rounds up, so that a slightly larger body doesn't need another allocation.
            let end = end.next_multiple_of(ALLOCATE_MIN).min(writer.len());
            if let Some(quota_guard) = quota_guard {
                quota_guard.grow_memory(end).map_err(past_limit)?;
            }
            writer.allocate(end)?;
        }
        if !*sent {
            send(writer.as_fd())?;
            *sent = true;
        }
        Ok(writer.clone())
    }

    /// Returns whether a body was written since the last call.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Frees the memory from the offset `start` on. No occupied range may be there.
    pub(crate) fn free_from(&self, start: usize) {
        let mut state = self.state();
        let OutgoingArenaState { writer: Some(writer), quota_guard, .. } = &mut *state else {
            return;
        };
        writer.free_from(start);
        if let Some(quota_guard) = quota_guard {
            quota_guard.shrink_memory(writer.allocated());
        }
    }

    /// Records that the peer did not receive the handle. It is sent again when the memory is next
    /// needed.
    pub(crate) fn send_again(&self) {
        self.state().sent = false;
    }

    fn state(&self) -> MutexGuard<'_, OutgoingArenaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IncomingArena {
    /// Returns the memory, if it exists.
    pub(crate) fn reader(&self) -> Option<&SharedReader> {
        self.reader.get()
    }

    /// Returns whether the handle was lost in transit.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Takes the handle of the memory, which may have been lost in transit.
    ///
    /// # Errors
    /// Returns the untrusted handle, and a violation if it is not shared memory.
    pub(crate) fn set(
        &self,
        handle: Option<OwnedHandle>,
        quota: &Arc<Quota>,
    ) -> Result<(), (OwnedHandle, Result<(), Violation>)> {
        let lost = || self.lost.store(true, Ordering::SeqCst);
        let Some(handle) = handle else {
            lost();
            return Ok(());
        };
        let Ok(quota_guard) = quota.take(Resource::Memory(0), 1) else {
            lost();
            return Err((handle, Ok(())));
        };
        match SharedReader::new(handle, Limits::ARENA_BYTES) {
            Ok(reader) => {
                *self.quota_guard() = Some(quota_guard);
                let _ = self.reader.set(reader);
                Ok(())
            }
            Err((handle, error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err((handle, Err(Violation::BadArena)))
            }
            // The error was caused by this process and not by the peer.
            Err((handle, _)) => {
                lost();
                Err((handle, Ok(())))
            }
        }
    }

    /// Counts the memory up to the offset `end`, before it is read.
    ///
    /// # Errors
    /// The name of the exceeded limit.
    pub(crate) fn count(&self, end: usize) -> Result<(), &'static str> {
        match &mut *self.quota_guard() {
            Some(quota_guard) => quota_guard.grow_memory(end),
            None => Ok(()),
        }
    }

    fn quota_guard(&self) -> MutexGuard<'_, Option<QuotaGuard>> {
        self.quota_guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the error of memory that exceeds the client's quota.
fn past_limit(limit: &str) -> io::Error {
    let fault = Fault::Busy { limit: limit.into() };
    io::Error::new(io::ErrorKind::QuotaExceeded, fault.to_string())
}

/// Granularity of allocation, in bytes.
const ALLOCATE_MIN: usize = 64 * 1024;
