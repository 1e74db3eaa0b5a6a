//! Finds servers by the marks in their program files; runs nothing.

use std::fs;
use std::io;
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
    let path = plain(fs::canonicalize(path)?);
    if !path.is_dir() {
        return Ok(look_at(path)?.into_iter().collect());
    }
    let files = fs::read_dir(&path)?.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<io::Result<Vec<_>>>()?;
    files.sort();
    // What can't be read there isn't meant.
    Ok(files.into_iter().filter_map(|path| look_at(path).ok().flatten()).collect())
}

/// A path as other programs take it, without the prefix that a canonical one has.
pub(crate) fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(rest) if !rest.starts_with("UNC") => rest.into(),
        _ => path,
    }
}

/// The program that a file is, if it serves classes.
fn look_at(path: PathBuf) -> io::Result<Option<Program>> {
    let metadata = fs::metadata(&path)?;
    let runs = metadata.is_file() && path.extension().is_some_and(|end| end == "exe");
    if !runs || metadata.len() > PROGRAM_BYTES_MAX {
        return Ok(None);
    }
    let classes = mark::find(&fs::read(&path)?);
    Ok((!classes.is_empty()).then_some(Program { path, classes }))
}

/// Larger files are no programs that somebody means to register.
const PROGRAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
