//! Helpers for tests that need kernel objects or processes of Linux.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::LONG;

/// Returns a pipe whose writing end can be passed as a handle.
pub(crate) fn pipe() -> (PipeReader, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, writer.into())
}

/// Reads a pipe until every copy of its writing end is closed.
pub(crate) fn drain(mut reader: PipeReader) -> String {
    let (mut text, mut bytes) = (Vec::new(), [0; 64]);
    loop {
        assert!(is_readable(&reader, LONG), "somebody still holds the writing end");
        match reader.read(&mut bytes).unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            len => text.extend_from_slice(&bytes[..len]),
        }
    }
}

/// Waits until a pipe has data or all its writing ends are closed. Returns `false` after the
/// timeout.
pub(crate) fn is_readable(reader: &PipeReader, within: Duration) -> bool {
    let mut polls = [PollFd::new(reader, PollFlags::IN)];
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: 0 };
    poll(&mut polls, Some(&within)).unwrap() > 0
}

/// Returns the number of open descriptors of this process, except for the three that the library
/// keeps for proofs (`prepare`).
pub(crate) fn descriptors() -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = all.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    // One descriptor is open only because this function lists the folder.
    let is_kept = |link: &std::path::PathBuf| {
        let link = link.to_string_lossy();
        link.contains("/fdinfo/") || link.ends_with("/mountinfo")
    };
    links.filter(|link| !is_kept(link)).count() - 1
}

/// Returns the number of threads of this process.
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until no count exceeds its earlier value. A count may be lower, because an earlier count
/// may have included something that was about to end.
pub(crate) fn eventually_no_more<T, const N: usize>(before: [T; N], now: impl Fn() -> [T; N])
where
    T: PartialOrd + std::fmt::Debug,
{
    let deadline = Instant::now() + LONG;
    loop {
        let now = now();
        if before.iter().zip(&now).all(|(before, now)| now <= before) {
            return;
        }
        assert!(Instant::now() < deadline, "{before:?} were there before, and now {now:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a value equals the expected one. The failure message contains the actual value.
pub(crate) fn eventually_equal<T: PartialEq + std::fmt::Debug>(
    expected: &T,
    mut actual: impl FnMut() -> T,
) {
    let deadline = Instant::now() + LONG;
    loop {
        let value = actual();
        if value == *expected {
            return;
        }
        assert!(Instant::now() < deadline, "expected {expected:?}, it stays {value:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
