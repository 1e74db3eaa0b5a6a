//! Finds servers by the marks in their program files. The programs are not run.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use syshandle_registry::mark;

use super::paths;
use crate::programs::{PROGRAM_BYTES_MAX, Program};

/// Returns the servers in a folder, without its subfolders. If the path is a file, returns the
/// server in it.
pub(crate) fn find(path: &Path) -> io::Result<Vec<Program>> {
    let path = paths::absolute(path)?;
    if !fs::metadata(&path)?.is_dir() {
        return Ok(read_program(path)?.into_iter().collect());
    }
    let files = fs::read_dir(&path)?.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<io::Result<Vec<_>>>()?;
    // Links are preferred to their targets, because the name of a link stays the same when the
    // version changes.
    files.sort_by_cached_key(|file| (!file.is_symlink(), file.clone()));
    let mut seen = HashSet::new();
    files.retain(|file| {
        let id = fs::metadata(file).map(|metadata| (metadata.dev(), metadata.ino()));
        // Skips files that can't be read, such as dangling links and files of other users.
        id.is_ok_and(|id| seen.insert(id))
    });
    files.sort();
    Ok(files.into_iter().filter_map(|path| read_program(path).ok().flatten()).collect())
}

/// Returns the program in a file, or `None` if it serves no classes.
fn read_program(path: PathBuf) -> io::Result<Option<Program>> {
    let metadata = fs::metadata(&path)?;
    let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    if !runs || metadata.len() > PROGRAM_BYTES_MAX {
        return Ok(None);
    }
    let classes = mark::find(&fs::read(&path)?);
    Ok((!classes.is_empty()).then_some(Program { path, classes }))
}
