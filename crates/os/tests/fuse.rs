//! A file system in user space that stops answering delays neither proofs nor closers nor peers.
//!
//! Mounting the file system requires root. Without root, the tests print that they were skipped.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]
#![expect(clippy::print_stdout, reason = "prints why a test was skipped")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags};
use syshandle_os::{
    Closer, Declaration, Event, Filesystems, Kind, Object, ProofFailure, Semaphore, Timer, UserId,
    identify, prove, prove_with,
};

use crate::namespace::{in_namespace, is_within};
use crate::silent::Fuse;

mod namespace;
mod silent;

/// Runs a step, and fails if it does not return promptly.
fn at_once<R: Send + 'static>(step: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(step()));
    receive.recv_timeout(Duration::from_secs(20)).expect("blocked by the file system")
}

#[test]
fn a_silent_file_system_delays_no_other_client() {
    let Some(mut fuse) = Fuse::mount() else { return };
    let file = fuse.open_silent();
    let declared = Declaration::kind(Kind::File);

    // Demonstrates the hazard: an ordinary query about the file is never answered.
    let (send, receive) = mpsc::channel();
    let asked = Arc::clone(&file);
    let stalled = thread::spawn(move || send.send(rustix::fs::fstat(&*asked).is_ok()));
    assert!(receive.recv_timeout(Duration::from_millis(100)).is_err(), "it answered");

    let proven = Arc::clone(&file);
    let refused = at_once(move || prove(proven.as_fd(), &declared)).unwrap_err();
    let ProofFailure::Mismatch(mismatch) = refused else { panic!("{refused:?}") };
    assert_eq!(mismatch.received.object, Object::Unjudged);
    assert!(mismatch.received.object.close_may_block());
    assert_eq!(
        mismatch.to_string(),
        "expected a file, got a file on a file system that isn't trusted"
    );

    // The proof isn't delayed even if the policy allows the file system.
    let proven = Arc::clone(&file);
    let allowed = Filesystems::local().allow("fuse");
    let facts = at_once(move || prove_with(proven.as_fd(), &declared, &allowed)).unwrap();
    assert_eq!(facts.object, Object::RegularFile);

    // The closer of this peer blocks, but the closers of other peers do not.
    let suspect = file.as_fd().try_clone_to_owned().unwrap();
    let blocked = Closer::new();
    let closer = blocked.clone();
    at_once(move || closer.close(suspect));
    let (mut reader, writer) = std::io::pipe().unwrap();
    at_once(move || {
        Closer::new().close(writer.into());
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
    assert_eq!(blocked.pending(), 1);

    // A file that is no longer mounted in this mount namespace is also rejected.
    rustix::mount::unmount(fuse.path(), UnmountFlags::DETACH).unwrap();
    let proven = Arc::clone(&file);
    let facts = at_once(move || identify(proven.as_fd())).unwrap();
    assert_eq!(facts.object, Object::Unjudged);
    rustix::mount::mount("none", fuse.path(), "tmpfs", MountFlags::empty(), None).unwrap();

    drop(fuse);
    assert_eq!(stalled.join().unwrap(), Ok(()));
}

/// A process that has called `prepare` can examine handles even if `/proc` doesn't answer. Without
/// `prepare`, it waits for `/proc`. Only an administrator of its mount namespace can cause that.
#[test]
fn a_silent_file_system_over_proc_delays_no_process_that_has_prepared() {
    if !is_within() {
        let test = "a_silent_file_system_over_proc_delays_no_process_that_has_prepared";
        return in_namespace(test, "");
    }
    syshandle_os::prepare().unwrap();
    let file = File::open(std::env::args().next().unwrap()).unwrap();
    let Some(fuse) = Fuse::mount_over(Path::new("/proc")) else { return };
    // Demonstrates the hazard: opening a file in `/proc` never returns.
    let (send, receive) = mpsc::channel();
    let stalled =
        thread::spawn(move || send.send(syshandle_os::read_proc("/proc/self/status").is_ok()));
    assert!(receive.recv_timeout(Duration::from_millis(100)).is_err(), "it answered");

    let handles: [(OwnedFd, Kind); 4] = [
        (Event::new().unwrap().into(), Kind::Event),
        (Semaphore::new(0).unwrap().into(), Kind::Semaphore),
        (Timer::new().unwrap().into(), Kind::Timer),
        (file.into(), Kind::File),
    ];
    for (handle, kind) in handles {
        at_once(move || prove(handle.as_fd(), &Declaration::kind(kind)).map(drop)).unwrap();
    }
    // 65534 is the ID by which the kernel reports users of other namespaces.
    assert_eq!(at_once(|| UserId::from_kernel(65_534).number()), None);
    at_once(syshandle_os::prepare).unwrap();

    drop(fuse);
    assert_eq!(stalled.join().unwrap(), Ok(()));
}
