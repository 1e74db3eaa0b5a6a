//! A socket activator that follows the `LISTEN_FDS` protocol. It shares no code with the library's
//! activation.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::readable::is_readable;
use crate::{Fixture, TEST_TIMEOUT};

/// Listens on a socket, and starts a program when a client connects.
#[derive(Debug)]
pub struct SocketActivator {
    socket: OwnedFd,
    path: PathBuf,
}

impl SocketActivator {
    /// Starts to listen at `path`.
    pub fn new(path: PathBuf) -> Self {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 128).unwrap();
        Self { socket, path }
    }

    /// Returns the listening socket.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until a client is in the socket's queue. Returns `false` if that takes longer than
    /// `time`.
    pub fn has_pending_client(&self, time: Duration) -> bool {
        is_readable(&self.socket, time)
    }

    /// Waits for a client, and starts the program.
    ///
    /// # Panics
    /// Panics if no client connects within [`TEST_TIMEOUT`].
    pub fn start(&self, fixture: &Fixture, program: &Path, environment: &[(&str, &str)]) -> Child {
        assert!(self.has_pending_client(TEST_TIMEOUT), "no client connects");
        self.start_now(fixture, program, environment).unwrap()
    }

    /// Starts the program without waiting for a client.
    ///
    /// # Errors
    /// Returns an error if the program can't be started.
    pub fn start_now(
        &self,
        fixture: &Fixture,
        program: &Path,
        environment: &[(&str, &str)],
    ) -> io::Result<Child> {
        // The shell executes the program in its own process, so the program has the process ID in
        // `LISTEN_PID`.
        let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"";
        let log = File::options().append(true).create(true).open(fixture.path().join("log"))?;
        let mut command = fixture.command(Path::new("/bin/sh"));
        command.arg("-c").arg(script).arg(program);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::from(self.socket.try_clone()?));
        command.stdout(log.try_clone()?).stderr(log);
        command.spawn()
    }
}

impl Drop for SocketActivator {
    fn drop(&mut self) {
        // If this fails, the socket is removed together with its folder.
        let _ = fs::remove_file(&self.path);
    }
}
