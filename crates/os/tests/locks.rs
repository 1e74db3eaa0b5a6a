//! Locks on files between processes.

#![cfg(not(windows))]
#![expect(unsafe_code, reason = "fork without exec has no safe wrapper")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use syshandle_os::{FileLock, LockAttempt};

/// Environment variable that makes this test program act as another process, with a given role.
const ROLE: &str = "SYSHANDLE_TEST_ROLE";
const FILE: &str = "SYSHANDLE_TEST_FILE";

fn taken(path: &Path) -> Option<FileLock> {
    match FileLock::try_take(path).unwrap() {
        LockAttempt::Taken(lock) => Some(lock),
        LockAttempt::Held(_) => None,
    }
}

#[test]
fn a_lock_excludes_threads_by_whichever_path_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink(folder.path(), &link).unwrap();
    let path = folder.path().join("lock");
    let lock = taken(&path).unwrap();
    assert!(taken(&path).is_none() && taken(&link.join("lock")).is_none());
    assert_eq!(FileLock::holders(&path).unwrap(), [std::process::id()]);
    // None of these attempts may have released the lock.
    assert!(!Other::run("take", &path).0.wait().unwrap().success());
    drop(lock);
    assert!(Other::run("take", &path).0.wait().unwrap().success());
    assert!(taken(&path).is_some());
}

#[test]
fn a_lock_of_another_process_names_its_holder_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let mut other = Other::start("hold", &path);
    assert!(
        matches!(FileLock::try_take(&path).unwrap(), LockAttempt::Held(pid) if pid == other.0.id())
    );
    assert_eq!(FileLock::holders(&path).unwrap(), [other.0.id()]);
    other.0.kill().unwrap();
    other.0.wait().unwrap();
    assert!(taken(&path).is_some());
}

#[test]
fn locks_that_a_reader_of_the_file_can_take_stand_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    drop(taken(&path).unwrap());
    let _reader = Other::start("read", &path);
    assert!(FileLock::holders(&path).unwrap().is_empty(), "a read lock must not be reported");
    let lock = taken(&path).expect("a reader's lock is replaced");
    assert!(taken(&path).is_none());
    assert!(!Other::run("take", &path).0.wait().unwrap().success());
    drop(lock);
    assert!(taken(&path).is_some());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no other file is left");
}

#[test]
fn the_marks_of_several_processes_do_not_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("running");
    assert_eq!(FileLock::holders(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    let (one, other) = (Other::start("mark", &path), Other::start("mark", &path));
    let mut holders = FileLock::holders(&path).unwrap();
    holders.sort_unstable();
    let mut expected = [one.0.id(), other.0.id()];
    expected.sort_unstable();
    assert_eq!(holders, expected);
    drop((one, other));
    assert!(FileLock::holders(&path).unwrap().is_empty());
}

#[test]
fn a_lock_ends_with_its_process_though_a_forked_child_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let mut parent = Other::start("fork", &path);
    // The child ends at the end of its standard input.
    let input = parent.0.stdin.take();
    parent.0.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while taken(&path).is_none() {
        assert!(Instant::now() < deadline, "the child has kept the lock");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(input);
}

#[test]
fn processes_with_one_number_mark_a_file_beside_each_other() {
    let options = ["--user", "--map-current-user", "--pid", "--fork", "--kill-child"];
    match Command::new("unshare").args(options).arg("true").output() {
        Ok(output) if output.status.success() => {}
        other => return println!("skipped: no pid namespace can be made: {other:?}"),
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    // Each process has the process ID 1 in its own pid namespace.
    let mut others: Vec<_> = (0..3)
        .map(|_| Other::start_by(Command::new("unshare").args(options), "mark", &path))
        .collect();
    let holders = FileLock::holders(&path).unwrap();
    assert_eq!(holders.len(), 3, "{holders:?}");
    others.pop();
    let deadline = Instant::now() + Duration::from_secs(60);
    while FileLock::holders(&path).unwrap().len() > 2 {
        assert!(Instant::now() < deadline, "the lock must end with its process");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Another process that locks a file.
struct Other(Child);

impl Other {
    fn run(role: &str, path: &Path) -> Self {
        Self::run_by(&mut Command::new("env"), role, path)
    }

    /// Runs the process through a program that executes the command line passed to it.
    fn run_by(program: &mut Command, role: &str, path: &Path) -> Self {
        let child = program
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--nocapture"])
            .env(ROLE, role)
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Starts the process, and waits until it holds the lock.
    fn start(role: &str, path: &Path) -> Self {
        Self::start_by(&mut Command::new("env"), role, path)
    }

    fn start_by(program: &mut Command, role: &str, path: &Path) -> Self {
        let mut other = Self::run_by(program, role, path);
        let mut said = [0; 6];
        other.0.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"locked");
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs as the other process. Not a test by itself.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var_os(FILE).unwrap();
    let path = Path::new(&path);
    let mut lock = None;
    match role.as_str() {
        "take" => drop(taken(path).expect("the lock is free")),
        "hold" => lock = taken(path),
        "mark" => match FileLock::try_take_own(path).unwrap() {
            LockAttempt::Taken(mark) => lock = Some(mark),
            LockAttempt::Held(pid) => panic!("{pid} excludes this process"),
        },
        "read" => {
            let file = File::open(path).unwrap();
            rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockShared).unwrap();
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
            say_and_wait();
        }
        "fork" => {
            let _lock = taken(path).unwrap();
            // SAFETY: the child only reads its input and exits.
            if unsafe { libc::fork() } == 0 {
                wait();
                // SAFETY: ends the child without running any other code of the test.
                unsafe { libc::_exit(0) }
            }
            io::stderr().write_all(b"locked").unwrap();
            return;
        }
        other => panic!("unknown role {other}"),
    }
    if lock.is_some() {
        say_and_wait();
    }
}

fn say_and_wait() {
    io::stderr().write_all(b"locked").unwrap();
    wait();
}

/// Waits for the end of the standard input.
fn wait() {
    let _ = io::stdin().read(&mut [0]);
}
