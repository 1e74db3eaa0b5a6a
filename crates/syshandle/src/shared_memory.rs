//! The shared memory of a connection, through which large bodies go: one for each direction, made
//! when it is first needed.
//!
//! Pages are charged to both sides: written pages to the writer, and holes that are read to the
//! reader. A server counts both kinds as memory that it holds for its client.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use syshandle_os::{BorrowedHandle, OwnedHandle, SharedReader, SharedWriter};
use syshandle_wire::{Limits, Violation};

use crate::server::shares::{Part, Share, Taken};
use crate::sync::{Mutex, MutexGuard};

/// The memory that this side writes.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    state: Mutex<OutgoingState>,
    /// A body was written since the memory was last looked at to be freed.
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct OutgoingState {
    writer: Option<Arc<SharedWriter>>,
    /// The peer has its handle.
    sent: bool,
    /// The part of the peer's share that the memory takes.
    taken: Option<Taken>,
}

/// The memory that the peer writes.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    reader: OnceLock<SharedReader>,
    /// Its handle was lost on the way, because this process had no descriptors left.
    lost: AtomicBool,
    /// The part of the peer's share that the memory takes.
    taken: Mutex<Option<Taken>>,
}

impl Outgoing {
    /// Makes the memory, for a body of `len` bytes, unless it is there; returns its size, which is
    /// less than [`Limits::ARENA_BYTES`] if this process may not write files that large.
    ///
    /// # Errors
    /// `FileTooLarge` if the memory is too small; `QuotaExceeded`; and the errors of [`SharedWriter::new`].
    pub(crate) fn prepare(&self, len: usize, share: &Arc<Share>) -> io::Result<usize> {
        let mut state = self.state();
        let size = match &state.writer {
            Some(writer) => writer.len(),
            None => {
                let taken = share.take(Part::Memory(0), 1).map_err(past_limit)?;
                let writer = SharedWriter::new(Limits::ARENA_BYTES)?;
                let size = writer.len();
                (state.writer, state.taken) = (Some(Arc::new(writer)), Some(taken));
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

    /// Allocates the memory up to the offset `end`. Before anything refers to the memory, `send` sends
    /// its handle to the peer.
    pub(crate) fn allocate(
        &self,
        end: usize,
        send: impl FnOnce(BorrowedHandle<'_>) -> io::Result<()>,
    ) -> io::Result<Arc<SharedWriter>> {
        let mut state = self.state();
        let OutgoingState { writer, sent, taken } = &mut *state;
        let Some(writer) = writer else { return Err(io::ErrorKind::NotFound.into()) };
        self.used.store(true, Ordering::Relaxed);
        if end > writer.allocated() {
            // In larger pieces, so that not each body that is a little larger allocates.
            let end = end.next_multiple_of(ALLOCATE_MIN).min(writer.len());
            if let Some(taken) = taken {
                taken.grow_memory(end).map_err(past_limit)?;
            }
            writer.allocate(end)?;
        }
        if !*sent {
            send(writer.as_fd())?;
            *sent = true;
        }
        Ok(writer.clone())
    }

    /// Whether a body was written since this was asked last.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Frees the memory from the offset `start` on, where no range is taken.
    pub(crate) fn free_from(&self, start: usize) {
        let mut state = self.state();
        let OutgoingState { writer: Some(writer), taken, .. } = &mut *state else { return };
        writer.free_from(start);
        if let Some(taken) = taken {
            taken.shrink_memory(writer.allocated());
        }
    }

    /// The peer has lost the handle: it is sent once more when the memory is needed again.
    pub(crate) fn send_again(&self) {
        self.state().sent = false;
    }

    fn state(&self) -> MutexGuard<'_, OutgoingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// Takes the memory, if it is there.
    pub(crate) fn reader(&self) -> Option<&SharedReader> {
        self.reader.get()
    }

    /// Whether its handle was lost on the way.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Takes the memory's handle, which may have been lost on the way.
    ///
    /// # Errors
    /// Returns the handle, which is not trusted: with a violation if it is no shared memory.
    pub(crate) fn set(
        &self,
        handle: Option<OwnedHandle>,
        share: &Arc<Share>,
    ) -> Result<(), (OwnedHandle, Result<(), Violation>)> {
        let lost = || self.lost.store(true, Ordering::SeqCst);
        let Some(handle) = handle else {
            lost();
            return Ok(());
        };
        let Ok(taken) = share.take(Part::Memory(0), 1) else {
            lost();
            return Err((handle, Ok(())));
        };
        match SharedReader::new(handle, Limits::ARENA_BYTES) {
            Ok(reader) => {
                *self.taken() = Some(taken);
                let _ = self.reader.set(reader);
                Ok(())
            }
            Err((handle, error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err((handle, Err(Violation::BadArena)))
            }
            // A failure of this process's own.
            Err((handle, _)) => {
                lost();
                Err((handle, Ok(())))
            }
        }
    }

    /// Counts the memory up to the offset `end`, which is about to be read.
    ///
    /// # Errors
    /// The name of the limit.
    pub(crate) fn count(&self, end: usize) -> Result<(), &'static str> {
        match &mut *self.taken() {
            Some(taken) => taken.grow_memory(end),
            None => Ok(()),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Option<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of memory that the client may not have.
fn past_limit(limit: &str) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, format!("the server is at its limit of {limit}"))
}

/// Pages are allocated in pieces of this size.
const ALLOCATE_MIN: usize = 64 * 1024;
