//! Names for files that are renamed once they are complete.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// Returns a path next to `path` that no other process uses, even in another pid namespace. Two
/// processes that share a directory but not a pid namespace may have the same process ID.
pub fn unfinished(path: &Path) -> PathBuf {
    let number = RandomState::new().hash_one(std::process::id());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:016x}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_another_one_in_the_same_folder() {
        let path = Path::new("/run/user/1000/confinement");
        let names = [unfinished(path), unfinished(path)];
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.parent() == path.parent()));
    }
}
