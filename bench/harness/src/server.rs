//! The server process of a contender, and the socket between client and server.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags};

/// The type of a Unix socket.
pub type SocketType = rustix::net::SocketType;

/// A server process whose standard input is its listening socket. Dropping this value ends the
/// process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    path: PathBuf,
}

impl Server {
    /// Creates a listening socket, and starts this program as its server.
    ///
    /// # Errors
    /// The errors of sockets and of starting a program.
    pub fn start(contender: &str, kind: SocketType) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder().join(format!("{contender}-{}-{count}", std::process::id()));
        let socket = listen(&path, kind)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["server", contender])
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, path })
    }

    /// Returns the path of the listening socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the id of the server process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server is killed, because it has no state that requires an orderly end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Returns the listening socket of a server, which is its standard input.
///
/// # Errors
/// No descriptor is available.
pub fn listener() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}

/// Makes the kernel end this process when the thread that started it ends.
pub fn die_with_parent() {
    // The call fails only for an invalid signal.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// Connects to a server.
///
/// # Errors
/// The errors of `connect(2)`.
pub fn connect(path: &Path, kind: SocketType) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn listen(path: &Path, kind: SocketType) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, 4096)?;
    Ok(socket)
}

/// Returns the folder for sockets and files. The runner provides a temporary folder. A contender
/// that is run manually uses a folder in memory instead.
pub fn folder() -> PathBuf {
    let memory = || Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir());
    let named = std::env::var_os("BENCH_FOLDER").map(PathBuf::from);
    named.or_else(memory).unwrap_or_else(std::env::temp_dir)
}
