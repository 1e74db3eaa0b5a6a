//! Handles that came and aren't trusted: how each is proven, and got rid of.
//!
//! To close a file is to tell its file system, and that of a hostile peer may never answer. So what
//! wasn't proven is looked at before it is closed, whatever the reason, and what may stall is left to
//! the threads of [`dispose_with`]. Until it is closed it is a descriptor of this process: so it is
//! counted against the process that sent it, and who has too many of them isn't served.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use syshandle_os::{
    BorrowedHandle, Declared, Filesystems, OwnedHandle, Received, Seqpacket, Unproven,
    dispose_with, identify_with, prove_with,
};
use syshandle_wire::{ProofError, Prove};

/// Handles that came with a frame and that nobody has looked at yet.
#[derive(Debug)]
pub(crate) struct Arrived {
    handles: Vec<OwnedHandle>,
    sender: Sender,
}

/// The process that sent a handle, by its number; that of a server is not told.
pub(crate) type Sender = Option<u32>;

impl Arrived {
    /// None yet, from this process.
    pub(crate) fn from(sender: Sender) -> Self {
        Self { handles: Vec::new(), sender }
    }

    /// Receives a frame and its handles; doesn't wait.
    pub(crate) fn receive(&mut self, socket: &Seqpacket, frame: &mut [u8]) -> io::Result<Received> {
        socket.receive(frame, &mut self.handles)
    }

    /// The frame says itself who sent it.
    pub(crate) fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
    }

    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn first(&self) -> Option<&OwnedHandle> {
        self.handles.first()
    }

    /// The handles, for a decoder: it refuses what it doesn't take.
    pub(crate) fn into_handles(mut self) -> Vec<OwnedHandle> {
        std::mem::take(&mut self.handles)
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        let kernel = Kernel::usual(self.sender);
        self.handles.drain(..).for_each(|handle| kernel.refuse(handle));
    }
}

/// Asks the kernel what the handles of a message are.
#[derive(Debug)]
pub(crate) struct Kernel<'f> {
    pub(crate) filesystems: &'f Filesystems,
    pub(crate) sender: Sender,
}

impl Kernel<'static> {
    /// With the usual file systems.
    pub(crate) fn usual(sender: Sender) -> Self {
        static USUAL: LazyLock<Filesystems> = LazyLock::new(Filesystems::local);
        Self { filesystems: &USUAL, sender }
    }
}

impl Prove for Kernel<'_> {
    fn prove(&self, handle: BorrowedHandle<'_>, declared: &Declared) -> Result<(), ProofError> {
        match prove_with(handle, declared, self.filesystems) {
            Ok(facts) => {
                tracing::trace!(object = %facts.object, rights = %facts.rights, "a handle was proven");
                Ok(())
            }
            Err(Unproven::Mismatch(mismatch)) => Err(ProofError::Mismatch(mismatch)),
            Err(Unproven::Failed(error)) => Err(ProofError::Unknown(error.to_string())),
        }
    }

    fn refuse(&self, handle: OwnedHandle) {
        match identify_with(handle.as_fd(), self.filesystems) {
            Ok(facts) if !facts.object.may_stall() => drop(handle),
            _ => dispose_with(handle, Unclosed::of(self.sender)),
        }
    }
}

/// Whether as many handles of this process's wait to be closed as may.
pub(crate) fn has_too_many_unclosed(sender: Sender) -> bool {
    sender.and_then(|sender| unclosed().get(&sender).copied()).is_some_and(|n| n >= UNCLOSED_MAX)
}

/// A handle that waits to be closed, counted against its sender.
#[derive(Debug)]
struct Unclosed(Sender);

impl Unclosed {
    fn of(sender: Sender) -> Self {
        if let Some(sender) = sender {
            *unclosed().entry(sender).or_default() += 1;
        }
        Self(sender)
    }
}

impl Drop for Unclosed {
    fn drop(&mut self) {
        let Some(sender) = self.0 else { return };
        let mut unclosed = unclosed();
        if let Some(count) = unclosed.get_mut(&sender) {
            *count -= 1;
            if *count == 0 {
                unclosed.remove(&sender);
            }
        }
    }
}

/// The handles that wait to be closed, by the process that sent them.
fn unclosed() -> MutexGuard<'static, HashMap<u32, usize>> {
    static UNCLOSED: LazyLock<Mutex<HashMap<u32, usize>>> = LazyLock::new(Mutex::default);
    UNCLOSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enough for what a file system that is only slow holds up, and few beside what a process can have
/// open.
const UNCLOSED_MAX: usize = 64;
