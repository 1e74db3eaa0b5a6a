//! Proves that a handle matches the declaration of an interface.
//!
//! A proof queries only the facts that the declaration needs. If one kind is declared and one query
//! can identify it, only that query is made. In all other cases, and to describe the received
//! object in an error, the slower [`identify`] is used.

use std::{fmt, io};

use syshandle_types::ProofError;

use crate::{BorrowedHandle, Declaration, Facts, Mismatch, identify, sys};
#[cfg(not(windows))]
use crate::{Filesystems, identify_with};

/// The reason why a handle was not proven.
// Not `non_exhaustive`, because there can't be other reasons: the handle does not match, or the
// query failed. Programs reject the handle in both cases.
#[derive(Debug)]
pub enum ProofFailure {
    /// The handle does not match the declaration.
    Mismatch(Mismatch),
    /// A query to the kernel failed.
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

/// Converts the failure to the error type of the message decoder.
impl From<ProofFailure> for ProofError {
    fn from(failure: ProofFailure) -> Self {
        match failure {
            ProofFailure::Mismatch(mismatch) => Self::Mismatch(mismatch),
            ProofFailure::Failed(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// Proves by kernel queries that a handle matches the declaration. Never blocks: on Linux, only
/// files on local file systems are accepted (`Filesystems::local`).
///
/// # Errors
/// [`ProofFailure::Mismatch`] with the declared and the received properties, or
/// [`ProofFailure::Failed`] if a query failed. A handle is never accepted without proof.
pub fn prove(handle: BorrowedHandle<'_>, declared: &Declaration) -> Result<Facts, ProofFailure> {
    prove_by(handle, declared, || identify(handle))
}

/// Linux only: proves a handle like [`prove`], with another policy on trusted file systems.
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
    let quick = sys::prove::quick(handle, declared).map_err(ProofFailure::Failed)?;
    if let Some(facts) = quick.filter(|facts| declared.check(facts).is_ok()) {
        return Ok(facts);
    }
    let facts = identify().map_err(ProofFailure::Failed)?;
    declared.check(&facts).map_err(ProofFailure::Mismatch)?;
    Ok(facts)
}
