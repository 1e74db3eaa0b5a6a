//! A process that is killed while it owns a mutex abandons it. Both a process that is already
//! waiting and a process that locks it later are told so.

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use syshandle_os::{Handle, Mutex};

/// Environment variable that makes this test program act as the owner process.
const OWNER: &str = "SYSHANDLE_TEST_OWNER";

/// A timeout that is long enough for every step of the tests.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_waiter_gets_the_mutex_of_a_killed_owner_as_abandoned() {
    let mutex = Mutex::new().unwrap();
    let mut owner = Owner::of(&mutex);
    assert!(mutex.lock_timeout(Duration::from_millis(20)).unwrap().is_none(), "it is owned");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = mutex.lock_timeout(PATIENCE).unwrap().expect("it was abandoned");
            guard.is_abandoned()
        });
        // Whether the waiter is already waiting or locks after the owner's end, it must be told.
        // The pause makes the first more likely.
        thread::sleep(Duration::from_millis(20));
        owner.kill();
        assert!(waiter.join().unwrap());
    });
    let guard = mutex.lock_timeout(PATIENCE).unwrap().unwrap();
    assert!(!guard.is_abandoned(), "the abandonment is only reported once");
}

#[test]
fn a_later_caller_gets_the_mutex_of_a_killed_owner_as_abandoned() {
    let mutex = Mutex::new().unwrap();
    Owner::of(&mutex).kill();
    let guard = mutex.lock_timeout(PATIENCE).unwrap().expect("it was abandoned");
    assert!(guard.is_abandoned());
}

/// A process that owns a mutex.
struct Owner(Child);

impl Owner {
    /// Starts the process, and waits until it has locked the mutex.
    fn of(mutex: &Mutex) -> Self {
        let handle = mutex.as_handle().try_clone_to_owned().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_owner", "--nocapture"])
            .env(OWNER, "1")
            .stdin(Stdio::from(handle))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = [0; 6];
        child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"locked");
        Self(child)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Ensures that a failed test leaves no process behind.
impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs as the owner process, with the mutex as its standard input. Not a test by itself.
#[test]
fn the_owner() {
    if std::env::var_os(OWNER).is_none() {
        return;
    }
    let mutex = Mutex::from_handle(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let guard = mutex.lock().unwrap();
    std::io::stderr().write_all(b"locked").unwrap();
    thread::sleep(2 * PATIENCE);
    drop(guard);
}
