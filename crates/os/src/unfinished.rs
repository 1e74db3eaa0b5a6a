//! Names for files that are renamed when they are complete.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// Returns a path beside `path` that no other process uses. This includes processes of other pid
/// namespaces, because two processes that share a folder may have the same number.
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
