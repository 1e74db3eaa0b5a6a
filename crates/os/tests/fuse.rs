//! A file system in user space that stops answering can't delay proofs, closers, or peers.
//!
//! Mounting it requires root. Otherwise the test prints that it was skipped.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what can't be done fails the test")]
#![expect(clippy::print_stdout, reason = "a skipped test says why")]

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

/// Runs a step that must return without delay.
fn at_once<R: Send + 'static>(step: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(step()));
    receive.recv_timeout(Duration::from_secs(20)).expect("held up by the file system")
}

#[test]
fn a_silent_file_system_delays_no_other_client() {
    let Some(mut fuse) = Fuse::mount() else { return };
    let file = fuse.open_silent();
    let declared = Declaration::kind(Kind::File);

    // The hazard: an ordinary query of the file is never answered.
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

    // The proof isn't delayed either if the policy allows such files.
    let proven = Arc::clone(&file);
    let allowed = Filesystems::local().allow("fuse");
    let facts = at_once(move || prove_with(proven.as_fd(), &declared, &allowed)).unwrap();
    assert_eq!(facts.object, Object::RegularFile);

    // The closer of this peer blocks; the closers of other peers do not.
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

    // A file that isn't mounted in this mount namespace is refused as well.
    rustix::mount::unmount(fuse.path(), UnmountFlags::DETACH).unwrap();
    let proven = Arc::clone(&file);
    let facts = at_once(move || identify(proven.as_fd())).unwrap();
    assert_eq!(facts.object, Object::Unjudged);
    rustix::mount::mount("none", fuse.path(), "tmpfs", MountFlags::empty(), None).unwrap();

    drop(fuse);
    assert_eq!(stalled.join().unwrap(), Ok(()));
}

/// A process that has prepared examines handles although `/proc` doesn't answer any more. One that
/// hasn't waits for `/proc`, which only an administrator of its mount namespace can cause.
#[test]
fn a_silent_file_system_over_proc_delays_no_process_that_has_prepared() {
    if !is_within() {
        let test = "a_silent_file_system_over_proc_delays_no_process_that_has_prepared";
        return in_namespace(test, "");
    }
    syshandle_os::prepare().unwrap();
    let file = File::open(std::env::args().next().unwrap()).unwrap();
    let Some(fuse) = Fuse::mount_over(Path::new("/proc")) else { return };
    // The hazard: a file of `/proc` can't be opened.
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
    // The kernel shows users of other namespaces so.
    assert_eq!(at_once(|| UserId::from_kernel(65_534).number()), None);
    at_once(syshandle_os::prepare).unwrap();

    drop(fuse);
    assert_eq!(stalled.join().unwrap(), Ok(()));
}
