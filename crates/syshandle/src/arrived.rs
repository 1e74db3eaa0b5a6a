//! Handles that came and aren't trusted: how each is proven, and got rid of.
//!
//! To close a file is to tell its file system, and that of a hostile peer may never answer. So what
//! wasn't proven is looked at before it is closed, whatever the reason, and what may stall is left to
//! the threads of [`dispose_with`]. Until it is closed it is a descriptor of this process: so it is
//! part of the sender's share, and who has too many of them isn't served.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Declared, Filesystems, OwnedHandle, Received, Seqpacket, Unproven,
    dispose_with, identify_with, prove_with,
};
use syshandle_wire::{Handles, ProofError, Prove};

use crate::server::shares::Share;

/// Handles that came with a frame and that nobody has looked at yet.
#[derive(Debug)]
pub(crate) struct Arrived {
    handles: Handles,
    /// The share of the client that sent them; a server has none.
    sender: Option<Arc<Share>>,
}

impl Arrived {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { handles: Handles::new(), sender: None }
    }

    /// Receives a frame and its handles; doesn't wait.
    #[inline]
    pub(crate) fn receive(&mut self, socket: &Seqpacket, frame: &mut [u8]) -> io::Result<Received> {
        socket.receive(frame, &mut self.handles)
    }

    /// The same, but waits for a frame: no longer than `patience`.
    #[inline]
    pub(crate) fn receive_within(
        &mut self,
        socket: &Seqpacket,
        frame: &mut [u8],
        patience: Duration,
    ) -> io::Result<Received> {
        socket.receive_within(frame, &mut self.handles, patience)
    }

    /// Says whose they are.
    ///
    /// # Errors
    /// The name of the limit: so many of that client's wait to be closed that it gets no more.
    pub(crate) fn sent_by(&mut self, sender: &Arc<Share>) -> Result<(), &'static str> {
        self.sender = Some(sender.clone());
        sender.may_send_handles()
    }

    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn first(&self) -> Option<&OwnedHandle> {
        self.handles.first()
    }

    #[cold]
    fn refuse_all(&mut self) {
        let kernel = Kernel::usual(self.sender.as_ref());
        self.handles.drain(..).for_each(|handle| kernel.refuse(handle));
    }

    /// The handles, for a decoder: it refuses what it doesn't take.
    #[inline]
    pub(crate) fn into_handles(mut self) -> Handles {
        std::mem::take(&mut self.handles)
    }
}

impl Extend<OwnedHandle> for Arrived {
    fn extend<I: IntoIterator<Item = OwnedHandle>>(&mut self, handles: I) {
        self.handles.extend(handles);
    }
}

impl Drop for Arrived {
    #[inline]
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.refuse_all();
        }
    }
}

/// Asks the kernel what the handles of a message are.
#[derive(Debug)]
pub(crate) struct Kernel<'f> {
    pub(crate) filesystems: &'f Filesystems,
    pub(crate) sender: Option<&'f Arc<Share>>,
}

impl<'f> Kernel<'f> {
    /// With the usual file systems.
    pub(crate) fn usual(sender: Option<&'f Arc<Share>>) -> Self {
        static USUAL: LazyLock<Filesystems> = LazyLock::new(Filesystems::local);
        Self { filesystems: &USUAL, sender }
    }
}

impl Prove for Kernel<'_> {
    fn prove(&self, handle: BorrowedHandle<'_>, declared: &Declared) -> Result<(), ProofError> {
        match prove_with(handle, declared, self.filesystems) {
            Ok(facts) => {
                crate::log::trace!(object = %facts.object, rights = %facts.rights, "a handle was proven");
                Ok(())
            }
            Err(Unproven::Mismatch(mismatch)) => Err(ProofError::Mismatch(mismatch)),
            Err(Unproven::Failed(error)) => Err(ProofError::Unknown(error.to_string())),
        }
    }

    fn refuse(&self, handle: OwnedHandle) {
        match identify_with(handle.as_fd(), self.filesystems) {
            Ok(facts) if !facts.object.may_stall() => drop(handle),
            _ => dispose_with(handle, self.sender.map(Share::take_unclosed)),
        }
    }
}
