//! Memory files under a file size limit (`RLIMIT_FSIZE`). By default, the kernel kills a process
//! that exceeds the limit. The limit applies to a whole process, so each test runs in a process of
//! its own.

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use syshandle_os::{Mutex, Section, SharedWriter, UnsealedSection, within_file_size_limit};

/// Runs `test` in a separate process that may write files of at most `limit` bytes.
fn limited(name: &str, limit: u64, test: impl FnOnce()) {
    const INSIDE: &str = "SYSHANDLE_TEST_FILE_SIZE";
    if std::env::var_os(INSIDE).is_some() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(limit), maximum }).unwrap();
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        // The output goes to pipes, which the limit doesn't affect.
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), None, "{text}");
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_section_past_the_file_size_limit_is_an_error_that_names_the_limit() {
    limited("a_section_past_the_file_size_limit_is_an_error_that_names_the_limit", 10_000, || {
        let text = "this process may write files of at most 10000 bytes (RLIMIT_FSIZE)";
        let section = UnsealedSection::new(10_000).unwrap();
        for error in [
            Section::new(10_001).unwrap_err(),
            Section::frozen(&[7; 20_000]).unwrap_err(),
            section.resize(1 << 40).unwrap_err(),
            section.write(9_999, b"two").unwrap_err(),
            section.write(10_000, b"one").unwrap_err(),
            section.write(u64::MAX, b"one").unwrap_err(),
        ] {
            // A length that isn't a valid file offset causes a different error.
            if error.kind() != ErrorKind::InvalidInput {
                assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
                assert_eq!(error.to_string(), text);
            }
        }
        section.write(9_997, b"end").unwrap();
    });
}

#[test]
fn a_mutex_past_the_file_size_limit_is_an_error() {
    limited("a_mutex_past_the_file_size_limit_is_an_error", 10, || {
        assert_eq!(Mutex::new().unwrap_err().kind(), ErrorKind::FileTooLarge);
    });
}

#[test]
fn shared_memory_is_as_large_as_the_file_size_limit_allows() {
    limited("shared_memory_is_as_large_as_the_file_size_limit_allows", 100_000, || {
        let writer = SharedWriter::new(1 << 24).unwrap();
        assert_eq!(writer.len(), 100_000);
        writer.allocate(100_000).unwrap();
        assert!(writer.write(99_999, b"x") && !writer.write(99_999, b"xy"));
    });
}

#[test]
fn without_any_file_size_there_is_no_shared_memory_and_an_error_says_so() {
    let name = "without_any_file_size_there_is_no_shared_memory_and_an_error_says_so";
    limited(name, 0, || {
        let error = SharedWriter::new(1 << 24).unwrap_err();
        assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
    });
}

#[test]
fn a_write_to_an_ordinary_file_past_the_limit_is_an_error() {
    limited("a_write_to_an_ordinary_file_past_the_limit_is_an_error", 4, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        let write = || std::fs::write(&path, b"longer than that");
        let error = within_file_size_limit(write).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        // Checks that no signal is left pending.
        within_file_size_limit(|| Ok(())).unwrap();
    });
}
