//! Handles that came: how each is proven. The RPC runtime has them already, and closing them holds up
//! nobody.

use syshandle_os::{BorrowedHandle, Declared, OwnedHandle, Unproven, prove};
use syshandle_wire::{ProofError, Prove};

/// Handles that came with a call.
#[derive(Debug)]
pub(crate) struct Arrived(pub(crate) Vec<OwnedHandle>);

impl Arrived {
    /// The handles, for a decoder.
    pub(crate) fn into_handles(self) -> Vec<OwnedHandle> {
        self.0
    }
}

/// Asks the kernel what the handles of a message are.
#[derive(Debug)]
pub(crate) struct Kernel;

impl Prove for Kernel {
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declared,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        match prove(handle, declared) {
            Ok(facts) => {
                crate::log::trace!(object = %facts.object, rights = %facts.rights, "a handle was proven");
                Ok(None)
            }
            Err(Unproven::Mismatch(mismatch)) => Err(ProofError::Mismatch(mismatch)),
            Err(Unproven::Failed(error)) => Err(ProofError::Unknown(error.to_string())),
        }
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}
