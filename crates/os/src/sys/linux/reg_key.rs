//! Registry keys, each of which is a directory with one file per value.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

pub(crate) use super::directory::DirectoryHandle as RegKeyHandle;
use crate::RegKey;
use crate::reg_key::invalid_name;

pub(crate) fn key(key: &RegKeyHandle, name: &str) -> io::Result<RegKeyHandle> {
    key.directory(valid(name)?)
}

pub(crate) fn create_key(key: &RegKeyHandle, name: &str) -> io::Result<RegKeyHandle> {
    match key.create_directory(valid(name)?) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => self::key(key, name),
        created => created,
    }
}

pub(crate) fn value(key: &RegKeyHandle, name: &str) -> io::Result<Vec<u8>> {
    let not_a_value =
        || io::Error::new(ErrorKind::InvalidData, "the name refers to something else than a value");
    // Opens with `O_NONBLOCK`, because any process that may write to the directory can create a
    // FIFO there.
    let opened = key.open_unlinked(valid(name)?, OFlags::RDONLY | OFlags::NONBLOCK);
    let file = match opened {
        Err(Errno::LOOP | Errno::NXIO | Errno::XDEV) => return Err(not_a_value()),
        file => file?,
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(not_a_value());
    }
    let mut bytes = Vec::new();
    let file = File::from(file);
    file.take(RegKey::VALUE_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > RegKey::VALUE_LEN_MAX {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

pub(crate) fn set_value(key: &RegKeyHandle, name: &str, bytes: &[u8]) -> io::Result<()> {
    let name = valid(name)?;
    if bytes.len() > RegKey::VALUE_LEN_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let (unfinished, mut file) = create_unfinished(key)?;
    let renamed = file
        .write_all(bytes)
        .and_then(|()| Ok(rustix::fs::renameat(key, unfinished.as_str(), key, name)?));
    if renamed.is_err() {
        // An error of the removal is ignored, because it would hide the original error.
        let _ = key.remove(unfinished.as_ref());
    }
    renamed
}

/// Creates a file for a new value, under a name that no value has. Returns the name and the file.
fn create_unfinished(key: &RegKeyHandle) -> io::Result<(String, File)> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut tries = 0;
    loop {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        // The name of a value never starts with a dot.
        let name = format!(".{}.{number}.unfinished", std::process::id());
        match key.create_file(name.as_ref()) {
            // The file belongs to a process with the same ID: one that crashed, or one in another
            // pid namespace.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES_MAX => {
                tries += 1;
            }
            made => return Ok((name, made?)),
        }
    }
}

pub(crate) fn remove_value(key: &RegKeyHandle, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(key, valid(name)?, AtFlags::empty())?)
}

pub(crate) fn remove_key(key: &RegKeyHandle, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(key, valid(name)?, AtFlags::REMOVEDIR)?)
}

pub(crate) fn names(key: &RegKeyHandle) -> io::Result<Vec<OsString>> {
    let mut names = key.names()?;
    names.retain(|name| !name.as_bytes().starts_with(b"."));
    Ok(names)
}

/// Maximum number of existing files to skip. More of them indicate a defect in the writer, which an
/// error should reveal.
const TRIES_MAX: u32 = 1000;

/// Returns the name if it is valid for a value or a key: it must not be a path or start with a dot.
fn valid(name: &str) -> io::Result<&Path> {
    match name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        true => Err(invalid_name()),
        false => Ok(Path::new(name)),
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::Mode;

    use super::*;

    fn key() -> (tempfile::TempDir, RegKey) {
        let dir = tempfile::tempdir().unwrap();
        let key = RegKey::open(dir.path()).unwrap();
        (dir, key)
    }

    #[test]
    fn values_and_keys_are_set_read_and_removed() {
        let (_dir, root) = key();
        let key = root.create_key("software").unwrap();
        root.create_key("software").unwrap().set_value("colour", b"blue").unwrap();
        key.set_value("colour", b"red").unwrap();
        assert_eq!(root.key("software").unwrap().value("colour").unwrap(), b"red");
        assert_eq!(key.names().unwrap(), ["colour"]);
        assert!(root.remove_key("software").is_err());
        key.remove_value("colour").unwrap();
        assert_eq!(key.value("colour").unwrap_err().kind(), ErrorKind::NotFound);
        root.remove_key("software").unwrap();
        assert!(root.names().unwrap().is_empty());
    }

    #[test]
    fn a_name_is_no_path() {
        let (_dir, key) = key();
        for name in ["", ".", "..", "a/b", ".hidden", "a\0b"] {
            assert_eq!(key.set_value(name, b"").unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(key.value(name).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(key.key(name).is_err() && key.create_key(name).is_err());
        }
    }

    #[test]
    fn folders_and_links_in_place_of_a_value_are_refused() {
        let (dir, key) = key();
        let fifo = dir.path().join("fifo");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        key.create_key("key").unwrap();
        for name in ["fifo", "link", "key"] {
            assert_eq!(key.value(name).unwrap_err().kind(), ErrorKind::InvalidData, "{name}");
        }
    }

    #[test]
    fn unfinished_values_of_other_processes_are_left_alone() {
        let (dir, key) = key();
        // Creates many files, because other tests in this process advance the number at the same
        // time.
        let theirs: Vec<_> = (0..500)
            .map(|number| dir.path().join(format!(".{}.{number}.unfinished", std::process::id())))
            .collect();
        for path in &theirs {
            std::fs::write(path, b"theirs").unwrap();
        }
        key.set_value("value", b"mine").unwrap();
        assert_eq!(key.value("value").unwrap(), b"mine");
        assert!(theirs.iter().all(|path| path.exists()));
        assert_eq!(key.names().unwrap(), ["value"]);
    }

    #[test]
    fn a_value_has_a_largest_size() {
        let (_dir, key) = key();
        let largest = vec![7; RegKey::VALUE_LEN_MAX];
        key.set_value("value", &largest).unwrap();
        assert_eq!(key.value("value").unwrap(), largest);
        let larger = vec![7; RegKey::VALUE_LEN_MAX + 1];
        let error = key.set_value("value", &larger).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
