//! Finds servers and proxy DLLs by the marks in their files. The files are not executed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use syshandle_registry::ProxyRegistration;
use syshandle_registry::mark::{self, Mark};

use crate::programs::{PROGRAM_BYTES_MAX, Program};

/// Returns the servers in a folder, without its subfolders. If the path is a file, returns the
/// server in it.
pub(crate) fn find(path: &Path) -> io::Result<Vec<Program>> {
    let found = files(path, "exe")?.into_iter().filter_map(|path| {
        let classes = mark::find(&read_program(&path)?);
        (!classes.is_empty()).then_some(Program { path, classes })
    });
    Ok(found.collect())
}

/// Returns the proxy DLLs in a folder, without its subfolders. If the path is a file, returns the
/// DLL in it.
pub(crate) fn find_proxies(path: &Path) -> io::Result<Vec<ProxyRegistration>> {
    let found = files(path, "dll")?.into_iter().filter_map(|library| {
        let marked = mark::find_proxies(&read_program(&library)?);
        let clsid = marked.first()?.clsid;
        let interface = |marked: Mark| Some((*marked.interfaces.first()?, marked.name));
        let interfaces = marked.into_iter().filter_map(interface).collect();
        Some(ProxyRegistration { clsid, library, interfaces })
    });
    Ok(found.collect())
}

/// Removes the prefix `\\?\` of a canonical path, because other programs don't support it.
pub(crate) fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(rest) if !rest.starts_with("UNC") => rest.into(),
        _ => path,
    }
}

/// Returns the files with this extension in a folder. If the path is a file, returns the path.
fn files(path: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let path = plain(fs::canonicalize(path)?);
    let mut files = match path.is_dir() {
        true => {
            fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?
        }
        false => vec![path],
    };
    files.retain(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case(ending)));
    files.sort();
    Ok(files)
}

/// Reads a file that may be a program. Returns `None` if the file can't be read.
fn read_program(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    let runs = metadata.is_file() && metadata.len() <= PROGRAM_BYTES_MAX;
    runs.then(|| fs::read(path).ok()).flatten()
}
