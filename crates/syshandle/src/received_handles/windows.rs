//! Received handles, and how they are proven. Closing them does not block, because the RPC runtime
//! has already received them.

use syshandle_os::{BorrowedHandle, Declaration, OwnedHandle, prove};
use syshandle_types::{ProofError, Prove};

/// Handles that were received with a call.
#[derive(Debug)]
pub(crate) struct ReceivedHandles(pub(crate) Vec<OwnedHandle>);

impl ReceivedHandles {
    /// Returns the handles for a decoder.
    pub(crate) fn into_handles(self) -> Vec<OwnedHandle> {
        self.0
    }
}

/// Verifies the handles of a message by asking the kernel.
#[derive(Debug)]
pub(crate) struct KernelProver;

impl Prove for KernelProver {
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        let facts = prove(handle, declared)?;
        crate::log::trace!(object = %facts.object, rights = %facts.rights, "a handle was proven");
        Ok(None)
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}
