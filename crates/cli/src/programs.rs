//! Program files of servers.

use std::path::PathBuf;

use syshandle_registry::mark::Mark;

/// The program file of a server.
pub(crate) struct Program {
    /// The absolute path. Symbolic links in the path that the user specified are kept.
    pub(crate) path: PathBuf,
    /// The classes that the program serves.
    pub(crate) classes: Vec<Mark>,
}

/// Maximum size of a program file in bytes. Larger files are skipped.
pub(crate) const PROGRAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
