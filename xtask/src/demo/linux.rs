//! Linux-specific parts of the demo. The registry is a temporary folder.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Creates the folders of the registry.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder.join("data"))?;
    fs::DirBuilder::new().mode(0o700).create(folder.join("runtime"))
}

/// Returns the environment variables that select the registry.
pub(super) fn variables(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![("XDG_DATA_HOME", folder.join("data")), ("XDG_RUNTIME_DIR", folder.join("runtime"))]
}

/// Returns whether the idle server has ended, in which case its socket no longer exists.
pub(super) fn has_server_ended(folder: &Path, _: &Path) -> bool {
    let is_socket = |entry: fs::DirEntry| entry.path().extension() == Some("sock".as_ref());
    let entries = fs::read_dir(folder.join("runtime/syshandle"));
    !entries.is_ok_and(|entries| entries.flatten().any(is_socket))
}
