//! Received handles that are not trusted yet, and how they are proven and closed.
//!
//! The sender of a handle can make its close block for any time; [`Closer`](syshandle_os::Closer)
//! explains why. Therefore a thread closes a peer's handle itself only if handles of that kind
//! never block. Background threads close all others. Until it is closed, a handle counts in the
//! peer's quota of descriptors, and a peer with too many unclosed handles is refused.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Declaration, Facts, Filesystems, OwnedHandle, ReceivedMessage, Seqpacket,
    identify_with, prove_with,
};
use syshandle_types::{Handles, MessageObject, ProofError, Prove, SharedHandle, SharedType};

use crate::quota::{Quota, QuotaGuard, Resource};
use crate::slots::KeptHandle;

/// Handles of a peer that no value owns yet. Dropping the list closes the remaining handles without
/// blocking.
#[derive(Debug)]
pub(crate) struct ReceivedHandles {
    handles: Handles,
    /// Quota of the peer. `None` until there is a handle.
    sender: Option<Arc<Quota>>,
}

impl ReceivedHandles {
    /// Makes an empty list.
    pub(crate) fn new() -> Self {
        Self { handles: Handles::new(), sender: None }
    }

    /// Wraps handles that this peer may have sent.
    pub(crate) fn of(handles: Handles, sender: &Arc<Quota>) -> Self {
        Self { handles, sender: Some(sender.clone()) }
    }

    /// Receives a frame and its handles, without waiting.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        socket: &Seqpacket,
        frame: &mut [u8],
    ) -> io::Result<ReceivedMessage> {
        socket.receive(frame, &mut self.handles)
    }

    /// Receives a frame and its handles, waiting up to `timeout`.
    #[inline]
    pub(crate) fn receive_within(
        &mut self,
        socket: &Seqpacket,
        frame: &mut [u8],
        timeout: Duration,
    ) -> io::Result<ReceivedMessage> {
        socket.receive_within(frame, &mut self.handles, timeout)
    }

    /// Records the peer that sent the handles. Does nothing if there are no handles.
    #[inline]
    pub(crate) fn sent_by(&mut self, sender: &Arc<Quota>) {
        if !self.handles.is_empty() {
            self.sender = Some(sender.clone());
        }
    }

    /// Checks that the peer may send handles.
    ///
    /// # Errors
    /// Returns the name of the limit if too many earlier handles of the peer are not closed yet.
    #[inline]
    pub(crate) fn check_sender(&self) -> Result<(), &'static str> {
        match &self.sender {
            Some(sender) if !self.handles.is_empty() => sender.may_send_handles(),
            _ => Ok(()),
        }
    }

    /// Returns the quota of the peer, if there are handles.
    pub(crate) fn sender(&self) -> Option<&Arc<Quota>> {
        self.sender.as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn first(&self) -> Option<&OwnedHandle> {
        self.handles.first()
    }

    /// Takes all handles, to decide about each of them.
    pub(crate) fn take_all(&mut self) -> Handles {
        std::mem::take(&mut self.handles)
    }

    /// Takes the last handle.
    pub(crate) fn pop(&mut self) -> Option<OwnedHandle> {
        self.handles.pop()
    }

    /// Puts back a handle that failed its check.
    pub(crate) fn push(&mut self, handle: OwnedHandle) {
        self.handles.push(handle);
    }

    /// Borrows the handles.
    pub(crate) fn lend(&self) -> impl Iterator<Item = BorrowedHandle<'_>> {
        self.handles.iter().map(AsFd::as_fd)
    }

    /// Closes the handles in the background. Used if one peer may have many more handles than a
    /// message has, because closing them all takes long.
    pub(crate) fn close_later(&mut self) {
        if let Some(sender) = &self.sender {
            self.handles.drain(..).for_each(|handle| sender.close_abandoned(handle));
        }
    }

    #[cold]
    fn refuse_all(&mut self) {
        static UNKNOWN: LazyLock<Arc<Quota>> = LazyLock::new(Quota::of_a_server);
        let prover = KernelProver::usual(self.sender.as_ref().unwrap_or(&UNKNOWN));
        self.handles.drain(..).for_each(|handle| prover.refuse(handle));
    }

    /// Returns the handles for a decoder, which closes them unless it decodes the whole message.
    #[inline]
    pub(crate) fn into_handles(mut self) -> Handles {
        std::mem::take(&mut self.handles)
    }
}

impl Extend<OwnedHandle> for ReceivedHandles {
    fn extend<I: IntoIterator<Item = OwnedHandle>>(&mut self, handles: I) {
        self.handles.extend(handles);
    }
}

impl Drop for ReceivedHandles {
    #[inline]
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.refuse_all();
        }
    }
}

/// Verifies the handles of a message by asking the kernel.
#[derive(Debug)]
pub(crate) struct KernelProver<'f> {
    filesystems: &'f Filesystems,
    /// Quota of the peer that sent the handles.
    sender: &'f Arc<Quota>,
    /// Memory of decoded values, counted in the peer's quota until this value is dropped.
    memory: RefCell<Option<QuotaGuard>>,
}

impl<'f> KernelProver<'f> {
    /// Accepts only files on these file systems.
    pub(crate) fn new(filesystems: &'f Filesystems, sender: &'f Arc<Quota>) -> Self {
        Self { filesystems, sender, memory: RefCell::new(None) }
    }

    /// Accepts only files on local file systems.
    pub(crate) fn usual(sender: &'f Arc<Quota>) -> Self {
        Self::new(Self::usual_filesystems(), sender)
    }

    /// Returns the local file systems.
    pub(crate) fn usual_filesystems() -> &'static Filesystems {
        static USUAL: LazyLock<Filesystems> = LazyLock::new(Filesystems::local);
        &USUAL
    }

    /// Returns the guard of the memory of the values that were decoded.
    pub(crate) fn take_memory(&self) -> Option<QuotaGuard> {
        self.memory.take()
    }

    /// Verifies that a handle has the declared kind and rights.
    pub(crate) fn check(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declaration,
    ) -> Result<Facts, ProofError> {
        let facts = prove_with(handle, declared, self.filesystems)?;
        crate::log::trace!(object = %facts.object, rights = %facts.rights, "a handle was proven");
        Ok(facts)
    }
}

impl KernelProver<'_> {
    /// Verifies that a kept handle has the declared kind and rights. Asks the kernel only for facts
    /// that may have changed since the handle was kept.
    fn check_kept(&self, kept: &KeptHandle, declared: &Declaration) -> Result<(), ProofError> {
        if kept.settled(declared, self.filesystems) {
            return Ok(());
        }
        let checked = kept.with(|handle| self.check(handle, declared));
        checked.map_err(|error| ProofError::Unknown(error.to_string()))?.map(drop)
    }
}

fn no_duplicate(error: io::Error) -> ProofError {
    ProofError::Unknown(format!("no descriptor is left for a duplicate: {error}"))
}

impl Prove for KernelProver<'_> {
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        if !self.check(handle, declared)?.object.close_may_block() {
            return Ok(None);
        }
        handle.try_clone_to_owned().map(Some).map_err(no_duplicate)
    }

    fn duplicate(
        &self,
        kept: &MessageObject,
        declared: &Declaration,
    ) -> Option<Result<OwnedHandle, ProofError>> {
        let kept = kept.downcast_ref::<KeptHandle>()?;
        Some(self.check_kept(kept, declared).and_then(|()| {
            let duplicate = kept.with(|handle| handle.try_clone_to_owned());
            duplicate.and_then(|duplicate| duplicate).map_err(no_duplicate)
        }))
    }

    fn share(
        &self,
        kept: &MessageObject,
        declared: &Declaration,
        of: SharedType,
    ) -> Option<Result<SharedHandle, ProofError>> {
        let kept = kept.downcast_ref::<KeptHandle>()?;
        let shared = self
            .check_kept(kept, declared)
            .and_then(|()| kept.share(of).map_err(|error| ProofError::Unknown(error.to_string())));
        Some(shared)
    }

    fn refuse(&self, handle: OwnedHandle) {
        match identify_with(handle.as_fd(), self.filesystems) {
            Ok(facts) if !facts.object.close_may_block() => drop(handle),
            _ => self.sender.close(handle),
        }
    }

    fn reserve(&self, bytes: usize) -> Result<(), &'static str> {
        let mut memory = self.memory.borrow_mut();
        match &mut *memory {
            Some(quota_guard) => quota_guard.add_memory(bytes)?,
            None => *memory = Some(self.sender.take(Resource::Memory(bytes), 0)?),
        }
        Ok(())
    }
}
