//! Detects that the file of this program was replaced while the program is running.
//!
//! After an update, a running server would continue to serve the old version as long as clients
//! connect. So for each new client, the server checks whether its path still refers to the file
//! that was executed.

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::FileStatus;

/// The paths of this program's file, and the file's identity.
#[derive(Debug, Default)]
pub struct ProgramFile {
    /// Each path by which the program was started, with the device and inode numbers of the file at
    /// that time.
    paths: Vec<(PathBuf, (u64, u64))>,
}

impl ProgramFile {
    /// Returns the file of this process. Contains no paths if the system reports none.
    pub fn current() -> Self {
        let resolved = std::fs::read_link(OWN).ok();
        // The path as given may contain a symbolic link, for example to the current version, which
        // may lead to another file later.
        let given = std::env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
        let own = FileStatus::at(OWN.as_ref()).ok().map(|status| status.id);
        let is_there = |path: PathBuf| {
            let id = FileStatus::at(&path).ok()?.id;
            Some((path, id))
        };
        let mut paths: Vec<_> = given.into_iter().filter_map(is_there).collect();
        // The resolved path may already refer to a newer program. So it is paired with the identity
        // of the running file.
        paths.extend(resolved.zip(own).filter(|(path, _)| paths.iter().all(|(p, _)| p != path)));
        Self { paths }
    }

    /// Returns whether the program file was replaced or removed.
    pub fn is_replaced(&self) -> bool {
        self.paths.iter().any(|(path, id)| is_other(path, *id))
    }
}

/// Returns whether the path refers to another file, or to none because the file was removed. If the
/// path can't be found in a `chroot`, the program may still exist.
fn is_other(path: &Path, id: (u64, u64)) -> bool {
    match FileStatus::at(path) {
        Ok(status) => status.id != id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            FileStatus::at(OWN.as_ref()).is_ok_and(|own| own.links == 0)
        }
        Err(_) => false,
    }
}

/// A link to the file that this process executes, independent of its current path.
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
