//! Program files of servers.

use std::path::PathBuf;

use syshandle_model::CLASS_INTERFACES_MAX;
use syshandle_registry::mark::{INTERFACES_MAX, Mark};

// The macro `class!` and the marks have the same limit, but their crates don't know each other.
const _: () = assert!(CLASS_INTERFACES_MAX == INTERFACES_MAX);

/// The program file of a server.
pub(crate) struct Program {
    /// The absolute path. Symbolic links in the path that the user specified are kept.
    pub(crate) path: PathBuf,
    /// The classes that the program serves.
    pub(crate) classes: Vec<Mark>,
}

/// Maximum size of a program file in bytes. Larger files are skipped.
pub(crate) const PROGRAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
