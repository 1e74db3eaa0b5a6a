//! Windows-specific parts of the demo. The registry is that of the current user. The sample is
//! removed from it at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Does nothing, because the registry already exists.
pub(super) fn prepare(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns no variables, because the demo uses the current user's registry.
pub(super) fn variables(_: &Path) -> Vec<(&'static str, PathBuf)> {
    Vec::new()
}

/// Returns whether the server has recorded its last step. It ends shortly after that.
pub(super) fn has_server_ended(_: &Path, timeline: &Path) -> bool {
    fs::read_to_string(timeline).unwrap_or_default().contains(" server clean up")
}
