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
    let mut files = match path.is_dir() {
        true => {
            fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?
        }
        false => vec![path],
    };
    files.sort();
    let mut programs = Vec::new();
    for path in files {
        let metadata = fs::metadata(&path)?;
        let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        if !runs || metadata.len() > PROGRAM_BYTES_MAX {
            continue;
        }
        let classes = mark::find(&fs::read(&path)?);
        if !classes.is_empty() {
            programs.push(Program { path, classes });
        }
    }
    Ok(programs)
}

/// Larger files are no programs that somebody means to register.
const PROGRAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
