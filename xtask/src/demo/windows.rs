//! The demo on Windows: the registry is this user's, from which the sample is removed at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Prepares nothing, because the registry exists.
pub(super) fn prepare(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns no variables, because the registry is this user's.
pub(super) fn variables(_: &Path) -> Vec<(&'static str, PathBuf)> {
    Vec::new()
}

/// Returns whether the server has noted its last step, after which it soon ends by itself.
pub(super) fn has_server_ended(_: &Path, timeline: &Path) -> bool {
    fs::read_to_string(timeline).unwrap_or_default().contains(" server clean up")
}
