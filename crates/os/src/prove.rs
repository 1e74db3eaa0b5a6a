//! Proves that a handle matches the declaration of an interface.
//!
//! A proof asks only for the facts that the declaration needs. If one kind is declared and one
//! query identifies it, only that query is made. All other cases and all failures use the slower
//! [`identify`], which names the received object.

use std::{fmt, io};

use syshandle_types::ProofError;

use crate::{BorrowedHandle, Declaration, Facts, Mismatch, identify, sys};
#[cfg(not(windows))]
use crate::{Filesystems, identify_with};

/// The reason why a handle wasn't proven.
// Exhaustive: a handle that is proven by no kernel query either doesn't match or couldn't be asked
// about, and a program refuses it for both.
#[derive(Debug)]
pub enum ProofFailure {
    /// The handle doesn't match the declaration.
    Mismatch(Mismatch),
    /// The kernel couldn't be asked.
    Failed(io::Error),
}

impl fmt::Display for ProofFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Failed(_) => f.write_str("the kernel couldn't be asked about the handle"),
        }
    }
}

impl std::error::Error for ProofFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Mismatch(_) => None,
            Self::Failed(error) => Some(error),
        }
    }
}

/// Converts the failure for the decoder of a message.
impl From<ProofFailure> for ProofError {
    fn from(failure: ProofFailure) -> Self {
        match failure {
            ProofFailure::Mismatch(mismatch) => Self::Mismatch(mismatch),
            ProofFailure::Failed(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// Proves that a handle matches the declaration, by asking the kernel. Never blocks: on Linux, only
/// files on local file systems are trusted (`Filesystems::local`).
///
/// # Errors
/// [`ProofFailure::Mismatch`] with the declared and the received properties; [`ProofFailure::Failed`] if
/// the kernel couldn't be asked. A handle never passes without proof.
pub fn prove(handle: BorrowedHandle<'_>, declared: &Declaration) -> Result<Facts, ProofFailure> {
    prove_by(handle, declared, || identify(handle))
}

/// Linux only: proves a handle like [`prove`], with another policy on the file systems from which
/// files may come.
///
/// # Errors
/// Returns the errors of [`prove`].
#[cfg(not(windows))]
pub fn prove_with(
    handle: BorrowedHandle<'_>,
    declared: &Declaration,
    filesystems: &Filesystems,
) -> Result<Facts, ProofFailure> {
    prove_by(handle, declared, || identify_with(handle, filesystems))
}

fn prove_by(
    handle: BorrowedHandle<'_>,
    declared: &Declaration,
    identify: impl FnOnce() -> io::Result<Facts>,
) -> Result<Facts, ProofFailure> {
    if let Some(facts) = sys::prove::quick(handle, declared).map_err(ProofFailure::Failed)?
        && declared.check(&facts).is_ok()
    {
        return Ok(facts);
    }
    let facts = identify().map_err(ProofFailure::Failed)?;
    declared.check(&facts).map_err(ProofFailure::Mismatch)?;
    Ok(facts)
}
