//! A file system in user space that stops answering holds up nobody who follows the rules here.
//!
//! The test is the file system: it speaks the protocol of `/dev/fuse` by hand, as far as it takes to
//! open a file. That needs to be root; elsewhere the test says that it was skipped.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what can't be done fails the test")]
#![expect(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::mount::{MountFlags, UnmountFlags};
use syshandle_os::{
    Declared, Event, Filesystems, Kind, Object, Unproven, dispose, disposing, identify, prove,
    prove_with,
};

/// A mounted file system with one file, `file`, which answers until it is told to be silent.
struct Fuse {
    dir: tempfile::TempDir,
    is_silent: Arc<AtomicBool>,
    stop: Event,
    server: Option<JoinHandle<()>>,
}

impl Fuse {
    /// `None`, with the reason printed, where it can't be mounted.
    fn mount() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.inspect_err(|error| println!("skipped: /dev/fuse: {error}")).ok()?;
        let dir = tempfile::tempdir().unwrap();
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40755,user_id=0,group_id=0\0");
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        if let Err(error) = rustix::mount::mount("silent", dir.path(), "fuse", flags, options) {
            println!("skipped: no file system can be mounted: {error}");
            return None;
        }
        let is_silent = Arc::new(AtomicBool::new(false));
        let stop = Event::new().unwrap();
        let server = {
            let (is_silent, stop) = (Arc::clone(&is_silent), stop.try_clone().unwrap());
            thread::spawn(move || serve(device, &is_silent, &stop))
        };
        Some(Self { dir, is_silent, stop, server: Some(server) })
    }

    /// Opens the file; from then on nothing is answered.
    fn open_silent(&self) -> OwnedFd {
        let file = File::open(self.dir.path().join("file")).unwrap();
        self.is_silent.store(true, Ordering::SeqCst);
        file.into()
    }
}

/// Whoever still waits for an answer gets an error.
impl Drop for Fuse {
    fn drop(&mut self) {
        self.stop.set().unwrap();
        // The server's device is the last handle to it: closing it ends the connection.
        self.server.take().unwrap().join().unwrap();
        rustix::mount::unmount(self.dir.path(), UnmountFlags::DETACH).unwrap();
    }
}

fn serve(mut device: File, is_silent: &AtomicBool, stop: &Event) {
    let mut request = vec![0; 1 << 17];
    loop {
        let mut polls = [PollFd::new(&device, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        rustix::event::poll(&mut polls, None).unwrap();
        if !polls[1].revents().is_empty() {
            return;
        }
        let Ok(len) = device.read(&mut request) else { return };
        if !is_silent.load(Ordering::SeqCst)
            && let Some(reply) = answer(&request[..len])
        {
            device.write_all(&reply).unwrap();
        }
    }
}

/// The answer to a request, as `linux/fuse.h` has it.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    const LOOKUP: u32 = 1;
    const FORGET: u32 = 2;
    const GETATTR: u32 = 3;
    const OPEN: u32 = 14;
    const INIT: u32 = 26;
    let opcode = u32::from_ne_bytes(request[4..8].try_into().unwrap());
    let (error, body) = match opcode {
        FORGET => return None,
        INIT => (0, init()),
        LOOKUP => (0, entry()),
        GETATTR => (0, [vec![0; 16], attributes(1, 0o040_755)].concat()),
        OPEN => (0, vec![0; 16]),
        _ => (-libc::ENOSYS, Vec::new()),
    };
    let len = u32::try_from(16 + body.len()).unwrap();
    let unique = &request[8..16];
    Some([&len.to_ne_bytes()[..], &i32::to_ne_bytes(error), unique, &body].concat())
}

/// `struct fuse_init_out`: version 7.31, no flags, small writes.
fn init() -> Vec<u8> {
    let mut body = vec![0; 64];
    body[0..4].copy_from_slice(&7_u32.to_ne_bytes());
    body[4..8].copy_from_slice(&31_u32.to_ne_bytes());
    body[20..24].copy_from_slice(&4096_u32.to_ne_bytes());
    body
}

/// `struct fuse_entry_out` of node 2; its attributes are to be asked for again each time.
fn entry() -> Vec<u8> {
    let mut body = vec![0; 40];
    body[0..8].copy_from_slice(&2_u64.to_ne_bytes());
    body.extend(attributes(2, 0o100_644));
    body
}

/// `struct fuse_attr`.
fn attributes(node: u64, mode: u32) -> Vec<u8> {
    let mut body = vec![0; 88];
    body[0..8].copy_from_slice(&node.to_ne_bytes());
    body[60..64].copy_from_slice(&mode.to_ne_bytes());
    body[64..68].copy_from_slice(&1_u32.to_ne_bytes());
    body
}

/// Runs a step that must not be held up.
fn at_once<R: Send + 'static>(step: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(step()));
    receive.recv_timeout(Duration::from_secs(20)).expect("held up by the file system")
}

#[test]
fn a_silent_file_system_holds_up_nobody() {
    let Some(fuse) = Fuse::mount() else { return };
    let file = Arc::new(fuse.open_silent());
    let declared = Declared::kind(Kind::File);

    // What it is about: an ordinary question is never answered.
    let (send, receive) = mpsc::channel();
    let asked = Arc::clone(&file);
    let stalled = thread::spawn(move || send.send(rustix::fs::fstat(&*asked).is_ok()));
    assert!(receive.recv_timeout(Duration::from_millis(100)).is_err(), "it answered");

    let proven = Arc::clone(&file);
    let refused = at_once(move || prove(proven.as_fd(), &declared)).unwrap_err();
    let Unproven::Mismatch(mismatch) = refused else { panic!("{refused:?}") };
    assert_eq!(mismatch.received.object, Object::Unjudged);
    assert!(mismatch.received.object.may_stall());
    assert_eq!(
        mismatch.to_string(),
        "wanted a file, got a file on a file system that isn't trusted"
    );

    // Whoever wants such files anyway is not held up by their proof.
    let proven = Arc::clone(&file);
    let allowed = Filesystems::local().allow("fuse");
    let facts = at_once(move || prove_with(proven.as_fd(), &declared, &allowed)).unwrap();
    assert_eq!(facts.object, Object::RegularFile);

    // Closed by another thread, which stalls; others go on.
    let suspect = file.as_fd().try_clone_to_owned().unwrap();
    at_once(move || dispose(suspect));
    let (mut reader, writer) = std::io::pipe().unwrap();
    at_once(move || {
        dispose(writer.into());
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
    at_once(|| {
        while disposing() > 1 {
            thread::yield_now();
        }
    });
    assert_eq!(disposing(), 1);

    // Where it isn't mounted for us, as one of another mount namespace, it is refused as well.
    rustix::mount::unmount(fuse.dir.path(), UnmountFlags::DETACH).unwrap();
    let proven = Arc::clone(&file);
    let facts = at_once(move || identify(proven.as_fd())).unwrap();
    assert_eq!(facts.object, Object::Unjudged);
    rustix::mount::mount("none", fuse.dir.path(), "tmpfs", MountFlags::empty(), None).unwrap();

    drop(fuse);
    assert_eq!(stalled.join().unwrap(), Ok(()));
}
