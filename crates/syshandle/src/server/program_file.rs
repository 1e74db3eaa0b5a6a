//! The file of the program that this process runs: whether it was replaced since the start.
//!
//! A server that was built or installed anew would go on to serve the old way for as long as clients
//! come. So it looks, when a client comes, whether its program is still the file that was started.

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::FileStatus;

/// The file of this process's program, by each path that it was started by.
#[derive(Debug, Default)]
pub(crate) struct ProgramFile {
    /// Each path, with the file that was there.
    paths: Vec<(PathBuf, (u64, u64))>,
}

impl ProgramFile {
    /// The program of this process. Watches nothing where the system doesn't tell which it is.
    pub(crate) fn current() -> Self {
        let resolved = std::fs::read_link(OWN).ok();
        // A path through a link, to the current version for example, leads elsewhere later.
        let given = std::env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
        let own = FileStatus::at(OWN.as_ref()).ok().map(|status| status.id);
        let is_there = |path: PathBuf| {
            let id = FileStatus::at(&path).ok()?.id;
            Some((path, id))
        };
        let mut paths: Vec<_> = given.into_iter().filter_map(is_there).collect();
        // What is there now may be a newer program already.
        paths.extend(resolved.zip(own).filter(|(path, _)| paths.iter().all(|(p, _)| p != path)));
        Self { paths }
    }

    /// Whether the program was replaced or removed.
    pub(crate) fn is_replaced(&self) -> bool {
        self.paths.iter().any(|(path, id)| is_other(path, *id))
    }
}

/// Whether another file is at the path, or none because it was removed. In a `chroot` the path leads
/// nowhere although the file is there.
fn is_other(path: &Path, id: (u64, u64)) -> bool {
    match FileStatus::at(path) {
        Ok(status) => status.id != id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            FileStatus::at(OWN.as_ref()).is_ok_and(|own| own.links == 0)
        }
        Err(_) => false,
    }
}

/// The program of this process, as the kernel keeps it, under whichever name.
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
