//! Files: the kind of the standard library's own type.
//!
//! | | |
//! |---|---|
//! | object | an open file or character device ([CreateFile](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-createfilew)) |
//! | proof | the object's type is `File`, and `GetFileType` returns disk or character device; a directory is its own kind |
//! | rights | `read`, `write`, `append`: enforced by the kernel on the handle |
//! | `try_clone` | shares the offset |
//! | MIDL | `sh_file` |

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
}
