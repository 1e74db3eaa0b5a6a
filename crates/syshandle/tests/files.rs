//! Tests which files a parameter with the declaration `file(regular)` accepts.
#![cfg(not(windows))]
#![expect(missing_docs, reason = "the interface of a test")]

use std::fs::File;
use std::io::{Read, Seek, Write};

use syshandle::{ErrorKind, Result, interface};

#[interface(iid = "b1d1a0f6-3a44-4a3a-9a5c-6f0c2f0e7a11")]
pub trait Library {
    fn read(&self, #[handle(file(regular), read)] file: File) -> Result<String>;
    fn take(&self, #[handle(file, read)] file: File) -> Result<()>;
    fn control(&self, #[handle(file(device | special), read)] file: File) -> Result<()>;
}

struct Shelf;

impl Library for Shelf {
    fn read(&self, mut file: File) -> Result<String> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    fn take(&self, _: File) -> Result<()> {
        Ok(())
    }

    fn control(&self, _: File) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_regular_file_is_no_device_and_no_file_whose_content_the_kernel_makes() {
    let library = LibraryClient::in_process(Shelf).unwrap();
    let mut stored = tempfile::tempfile().unwrap();
    stored.write_all(b"text").unwrap();
    stored.rewind().unwrap();
    assert_eq!(library.read(&stored).unwrap(), "text");
    assert_eq!(library.control(&stored).unwrap_err().kind(), ErrorKind::WrongHandle);
    let special = "a special file, whose content the kernel makes";
    let others = [
        ("/proc/kmsg", special),
        ("/proc/self/status", special),
        ("/proc/sys/kernel/hostname", special),
        ("/sys/kernel/mm/transparent_hugepage/enabled", special),
        ("/sys/fs/cgroup/cgroup.procs", special),
        ("/dev/null", "a device"),
    ];
    for (path, what) in others {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                println!("skipped: {path}: {error}");
                continue;
            }
        };
        let error = library.read(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongHandle, "{path}");
        let expected = format!("expected a file (regular), got {what}");
        assert!(error.to_string().contains(&expected), "{path}: {error}");
        library.take(&file).unwrap();
        library.control(&file).unwrap();
    }
}
