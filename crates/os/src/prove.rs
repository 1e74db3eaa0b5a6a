//! The proof that a handle is what an interface declares.

use std::io;

use crate::{BorrowedHandle, Declared, Facts, Mismatch, identify};

/// Why a handle wasn't proven.
#[derive(Debug)]
pub enum Unproven {
    /// The kernel says that it is something else.
    Mismatch(Mismatch),
    /// The kernel couldn't be asked.
    Failed(io::Error),
}

/// Proves that a handle is what is declared, by asking the kernel.
///
/// # Errors
/// [`Unproven::Mismatch`] with what was wanted and what came; [`Unproven::Failed`] where the
/// kernel couldn't be asked. There is no silent pass.
pub fn prove(handle: BorrowedHandle<'_>, declared: &Declared) -> Result<Facts, Unproven> {
    let facts = identify(handle).map_err(Unproven::Failed)?;
    declared.check(&facts).map_err(Unproven::Mismatch)?;
    Ok(facts)
}
