//! A file system in user space that stops answering.
//!
//! The test itself serves the file system: it implements the part of the `/dev/fuse` protocol that
//! is needed to open a file. This requires root.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::mount::{MountFlags, UnmountFlags};
use syshandle_os::Event;

/// A mounted file system with one file, `file`. It answers requests until it is told to stop
/// answering.
pub(crate) struct Fuse {
    path: PathBuf,
    _dir: Option<tempfile::TempDir>,
    is_silent: Arc<AtomicBool>,
    stop: Event,
    server: Option<JoinHandle<()>>,
    file: Option<Arc<OwnedFd>>,
}

impl Fuse {
    /// Mounts the file system. Returns `None` and prints the reason if that isn't possible.
    pub(crate) fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        Self::mount_at(&path, Some(dir))
    }

    /// Mounts the file system over a directory and answers no request for its files. Returns `None`
    /// and prints the reason if that isn't possible.
    pub(crate) fn mount_over(folder: &Path) -> Option<Self> {
        let fuse = Self::mount_at(folder, None)?;
        fuse.is_silent.store(true, Ordering::SeqCst);
        Some(fuse)
    }

    fn mount_at(path: &Path, dir: Option<tempfile::TempDir>) -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.inspect_err(|error| println!("skipped: /dev/fuse: {error}")).ok()?;
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40755,user_id=0,group_id=0\0");
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        if let Err(error) = rustix::mount::mount("silent", path, "fuse", flags, options) {
            println!("skipped: no file system can be mounted: {error}");
            return None;
        }
        let is_silent = Arc::new(AtomicBool::new(false));
        let stop = Event::new().unwrap();
        let server = {
            let (is_silent, stop) = (Arc::clone(&is_silent), stop.try_clone().unwrap());
            thread::spawn(move || serve(device, &is_silent, &stop))
        };
        let path = path.to_owned();
        Some(Self { path, _dir: dir, is_silent, stop, server: Some(server), file: None })
    }

    /// Returns the mount point.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, and stops answering requests. Another reference to the file remains in this
    /// value, which closes it after the file system has ended, because closing waits for the file
    /// system.
    pub(crate) fn open_silent(&mut self) -> Arc<OwnedFd> {
        let file = Arc::new(OwnedFd::from(File::open(self.path().join("file")).unwrap()));
        self.file = Some(file.clone());
        self.is_silent.store(true, Ordering::SeqCst);
        file
    }
}

/// Unmounts the file system. Requests that are still waiting for an answer fail.
impl Drop for Fuse {
    fn drop(&mut self) {
        self.stop.set().unwrap();
        // The server thread holds the last handle to `/dev/fuse`, so closing it ends the
        // connection.
        self.server.take().unwrap().join().unwrap();
        rustix::mount::unmount(&self.path, UnmountFlags::DETACH).unwrap();
    }
}

fn serve(mut device: File, is_silent: &AtomicBool, stop: &Event) {
    let mut request = vec![0; 1 << 17];
    let end = Instant::now() + LIFETIME;
    loop {
        let mut polls = [PollFd::new(&device, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let ready = rustix::event::poll(&mut polls, Some(&left)).unwrap();
        if ready == 0 || !polls[1].revents().is_empty() {
            return;
        }
        let Ok(len) = device.read(&mut request) else { return };
        if is_silent.load(Ordering::SeqCst) {
            continue;
        }
        if let Some(reply) = answer(&request[..len]) {
            device.write_all(&reply).unwrap();
        }
    }
}

/// Returns the answer to a request, in the format of `linux/fuse.h`.
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

/// `struct fuse_entry_out` for node 2. Its attributes expire immediately.
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

/// Time after which the file system ends even if the test is stuck. Without it, a process with a
/// thread that waits for the file system could not be killed.
const LIFETIME: Duration = Duration::from_secs(90);
