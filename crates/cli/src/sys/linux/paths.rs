//! Makes paths absolute without resolving symbolic links.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Makes a path absolute and keeps its symbolic links. A registration through a link such as
/// `current` therefore follows the link when its target changes.
///
/// # Errors
/// Returns an error if the current folder is unknown or if a `..` can't be resolved.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let whole = if path.is_absolute() { path.to_owned() } else { current_folder()?.join(path) };
    let components: Vec<_> = whole.components().collect();
    // `..` refers to the parent of a link's target. The part of the path up to the last `..` is
    // therefore resolved.
    let parent = components.iter().rposition(|part| *part == Component::ParentDir);
    let Some(parent) = parent else { return Ok(components.iter().collect()) };
    let (before, after) = components.split_at(parent + 1);
    let folder: PathBuf = before.iter().collect();
    Ok(fs::canonicalize(folder)?.join(after.iter().collect::<PathBuf>()))
}

/// Returns the current folder as the shell shows it, which may contain links, like `pwd -L`.
fn current_folder() -> io::Result<PathBuf> {
    let is_plain = |path: &PathBuf| {
        path.is_absolute() && path.components().all(|part| part != Component::ParentDir)
    };
    let shown = std::env::var_os("PWD").map(PathBuf::from).filter(is_plain);
    let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    match shown {
        Some(shown) if id(&shown).is_some() && id(&shown) == id(".".as_ref()) => Ok(shown),
        _ => std::env::current_dir(),
    }
}
