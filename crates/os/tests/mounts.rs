//! Measures the cost of rejecting files on a machine with many mounts.
//!
//! The test runs itself again in new namespaces, and creates many mounts there.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
#![expect(clippy::print_stdout, reason = "prints why a test was skipped")]

mod namespace;

use std::fs::{self, File};
use std::os::fd::AsFd;

use namespace::{in_namespace, is_within};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use syshandle_os::{Declaration, Kind, prove};

/// Number of mounts. A container host has thousands.
const MOUNTS: u32 = 8_000;

/// Number of files that the simulated peer sends.
const FILES: u32 = 100;

#[test]
fn refused_files_cost_no_reading_of_a_table_of_8000_mounts_each() {
    if !is_within() {
        let test = "refused_files_cost_no_reading_of_a_table_of_8000_mounts_each";
        return in_namespace(test, "mount -t tmpfs tmpfs /mnt\nmount -t ramfs ramfs /media");
    }
    // The file's mount is in no mount table any more, as if the file came from another namespace.
    let file = File::create("/media/file").unwrap();
    unmount("/media", UnmountFlags::DETACH).unwrap();
    fs::create_dir("/mnt/source").unwrap();
    for number in 0..MOUNTS {
        let place = format!("/mnt/{number}");
        fs::create_dir(&place).unwrap();
        mount_bind("/mnt/source", &place).unwrap();
    }
    let declared = Declaration::kind(Kind::File);
    let refuse = || drop(prove(file.as_fd(), &declared).unwrap_err());
    let before = Reads::now();
    refuse();
    let first = Reads::now().since(&before);
    let table = u64::from(MOUNTS) * "1 2 0:3 / /mnt/1 rw - tmpfs tmpfs rw".len() as u64;
    assert!(
        first.bytes > table,
        "{first:?}: the mount table was not read, so the test is inconclusive"
    );
    assert!(first.bytes < 4 * fs::read("/proc/self/mountinfo").unwrap().len() as u64, "{first:?}");
    let before = Reads::now();
    (0..FILES).for_each(|_| refuse());
    let others = Reads::now().since(&before);
    let (bytes, calls) = (others.bytes / u64::from(FILES), others.calls / u64::from(FILES));
    assert!(bytes < 4096 && calls < 8, "each file: {bytes} bytes in {calls} calls");
}

/// The bytes read and the read calls of this thread so far, from `proc_pid_io(5)`.
#[derive(Debug)]
struct Reads {
    bytes: u64,
    calls: u64,
}

impl Reads {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/thread-self/io").unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        Self { bytes: field("rchar:"), calls: field("syscr:") }
    }

    fn since(&self, before: &Self) -> Self {
        Self { bytes: self.bytes - before.bytes, calls: self.calls - before.calls }
    }
}
