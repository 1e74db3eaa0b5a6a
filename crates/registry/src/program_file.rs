//! Detects that the file of this program was replaced since the start.
//!
//! After an update, a running server would otherwise serve the old version as long as clients
//! connect. So for each new client the server checks whether the path still leads to the file that
//! was started.

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::FileStatus;

/// The file of this program, by each path through which the program was started.
#[derive(Debug, Default)]
pub struct ProgramFile {
    /// Each path, with the device and inode number of its file at the start.
    paths: Vec<(PathBuf, (u64, u64))>,
}

impl ProgramFile {
    /// Returns the file of this process. Watches no path if the system does not report one.
    pub fn current() -> Self {
        let resolved = std::fs::read_link(OWN).ok();
        // A path through a symbolic link, such as one to the current version, may lead to another
        // file later.
        let given = std::env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
        let own = FileStatus::at(OWN.as_ref()).ok().map(|status| status.id);
        let is_there = |path: PathBuf| {
            let id = FileStatus::at(&path).ok()?.id;
            Some((path, id))
        };
        let mut paths: Vec<_> = given.into_iter().filter_map(is_there).collect();
        // The file at the resolved path may already be a newer program, so the path is paired with
        // the identity of the running file.
        paths.extend(resolved.zip(own).filter(|(path, _)| paths.iter().all(|(p, _)| p != path)));
        Self { paths }
    }

    /// Returns whether the program was replaced or removed.
    pub fn is_replaced(&self) -> bool {
        self.paths.iter().any(|(path, id)| is_other(path, *id))
    }
}

/// Returns whether the path leads to another file, or to none because the file was removed. In a
/// `chroot` the path may lead to no file although the program exists.
fn is_other(path: &Path, id: (u64, u64)) -> bool {
    match FileStatus::at(path) {
        Ok(status) => status.id != id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            FileStatus::at(OWN.as_ref()).is_ok_and(|own| own.links == 0)
        }
        Err(_) => false,
    }
}

/// The link to the file that this process runs, whatever name that file has now.
const OWN: &str = "/proc/self/exe";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_in_the_place_of_the_program_is_noticed() {
        let own = ProgramFile::current();
        assert!(!own.paths.is_empty());
        assert!(!own.is_replaced());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "one").unwrap();
        let id = FileStatus::at(&path).unwrap().id;
        assert!(!is_other(&path, id));
        std::fs::write(folder.path().join("new"), "two").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert!(is_other(&path, id));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_other(&path, id), "this process's program is still there");
    }
}
