//! Files: the kind of the standard library's own type.
//!
//! | | |
//! |---|---|
//! | object | an open regular file or device ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html)) |
//! | proof | `statx` shows a regular file or device, and `F_GETFL` shows the access mode and not `O_PATH`; memory files and similar objects of the kernel are excluded by their device and file system |
//! | rights | `read`, `write`: enforced by the kernel on the descriptor. A process with permission to open the file by its path can get more rights. `append` without `write` is advisory: any holder can remove `O_APPEND` |
//! | `try_clone` | shares the offset and the flags |
//! | Windows | a file HANDLE, `sh_file` |

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use crate::{Facts, Handle, Object, Rights, identify};

    fn facts(file: &File) -> Facts {
        identify(file.as_fd()).unwrap()
    }

    #[test]
    fn the_access_mode_is_the_rights() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let write = Rights::WRITE | Rights::APPEND;
        assert_eq!(facts(&File::create(&path).unwrap()).rights, write);
        assert_eq!(facts(&File::open(&path).unwrap()).rights, Rights::READ);
        let append = File::options().append(true).open(&path).unwrap();
        assert_eq!(facts(&append).rights, Rights::APPEND);
        assert_eq!(facts(&append).object, Object::RegularFile);
    }

    #[test]
    fn a_device_counts_as_a_file() {
        let device = File::open("/dev/null").unwrap();
        assert_eq!(facts(&device).object, Object::Device);
        assert_eq!(File::DECLARED.check(&facts(&device)), Ok(()));
    }

    #[test]
    fn a_path_descriptor_is_no_file() {
        use rustix::fs::{Mode, OFlags};
        let path = rustix::fs::open("/dev/null", OFlags::PATH, Mode::empty()).unwrap();
        let facts = identify(path.as_fd()).unwrap();
        assert_eq!(facts.object, Object::PathOnly);
        assert!(File::DECLARED.check(&facts).is_err());
    }
}
