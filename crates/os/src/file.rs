//! Files, which are represented by the type of the standard library.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | an open regular file or device ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html)) | an open file or character device ([CreateFile](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-createfilew)) |
//! | proof | `statx` shows a regular file or device, and `F_GETFL` shows the access mode and not `O_PATH`; memory files and similar objects of the kernel are excluded by their device and file system | the object's type is `File`, and `GetFileType` returns disk or character device; a directory is its own kind |
//! | rights | `read`, `write`: enforced by the kernel on the descriptor. A process with permission to open the file by its path can get more rights. `append` without `write` is advisory: any holder can remove `O_APPEND` | `read`, `write`, `append`: enforced by the kernel on the handle |
//! | `try_clone` | shares the file offset and the status flags | shares the file offset |
//! | MIDL | | `sh_file` |

#[cfg(test)]
mod tests {
    use std::fs::File;

    use crate::{Handle, Object, Rights, identify};

    #[test]
    fn the_granted_access_is_the_rights() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let written = identify(File::create(&path).unwrap().as_handle()).unwrap();
        assert_eq!(written.object, Object::RegularFile);
        assert_eq!(written.rights, Rights::WRITE | Rights::APPEND);
        let read = identify(File::open(&path).unwrap().as_handle()).unwrap();
        assert_eq!(read.rights, Rights::READ);
        let append = File::options().append(true).open(&path).unwrap();
        assert_eq!(identify(append.as_handle()).unwrap().rights, Rights::APPEND);
    }

    #[cfg(not(windows))]
    #[test]
    fn a_device_counts_as_a_file() {
        let device = File::open("/dev/null").unwrap();
        let facts = identify(device.as_handle()).unwrap();
        assert_eq!(facts.object, Object::Device);
        assert_eq!(File::DECLARATION.check(&facts), Ok(()));
    }

    #[cfg(not(windows))]
    #[test]
    fn a_path_descriptor_is_no_file() {
        use rustix::fs::{Mode, OFlags};
        let path = rustix::fs::open("/dev/null", OFlags::PATH, Mode::empty()).unwrap();
        let facts = identify(path.as_handle()).unwrap();
        assert_eq!(facts.object, Object::PathOnly);
        assert!(File::DECLARATION.check(&facts).is_err());
    }
}
