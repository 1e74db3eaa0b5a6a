//! Finds servers by the marks in their program files; runs nothing.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use syshandle::mark::{self, Marked};

/// A program that serves classes.
pub(crate) struct Program {
    /// Its file, from the root.
    pub(crate) path: PathBuf,
    /// What it serves.
    pub(crate) classes: Vec<Marked>,
}

/// The servers in a folder, not below it; or the one that the path names.
pub(crate) fn find(path: &Path) -> io::Result<Vec<Program>> {
    let path = fs::canonicalize(path)?;
    if !path.is_dir() {
        return Ok(look_at(path)?.into_iter().collect());
    }
    let files = fs::read_dir(&path)?.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<io::Result<Vec<_>>>()?;
    files.sort();
    // What can't be read there (a link to nothing, a file of somebody else's) isn't meant.
    Ok(files.into_iter().filter_map(|path| look_at(path).ok().flatten()).collect())
}

/// The program that a file is, if it serves classes.
fn look_at(path: PathBuf) -> io::Result<Option<Program>> {
    let metadata = fs::metadata(&path)?;
    let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    if !runs || metadata.len() > PROGRAM_BYTES_MAX {
        return Ok(None);
    }
    let classes = mark::find(&fs::read(&path)?);
    Ok((!classes.is_empty()).then_some(Program { path, classes }))
}

/// Larger files are no programs that somebody means to register.
const PROGRAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
