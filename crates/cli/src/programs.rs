//! Programs that serve classes.

use std::path::PathBuf;

use syshandle_registry::mark::Mark;

/// A program that serves classes.
pub(crate) struct Program {
    /// Absolute path of the program, which keeps the links in the user's path.
    pub(crate) path: PathBuf,
    /// The classes that it serves.
    pub(crate) classes: Vec<Mark>,
}

/// Maximum size of a program. Larger files are skipped.
pub(crate) const PROGRAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
