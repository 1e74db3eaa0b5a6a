//! Server process: a client that waits long checks periodically whether it still lives.
//!
//! The socket alone doesn't tell, because a child that the server forked keeps the other end open
//! after the server's death. The check makes only system calls that a client makes anyway, so it
//! works in a sandbox.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Instant;

use syshandle_os::{Credentials, Peer, Seqpacket, SpawnedProcess};

use crate::peer_socket::INTERVAL;
use crate::sync::now;

/// Process that serves a connection.
#[derive(Debug)]
pub(super) struct ServerProcess {
    pid: u32,
    is_other: bool,
    /// Pidfd of the process, if the kernel gives one.
    process: OnceLock<Option<OwnedFd>>,
}

impl ServerProcess {
    /// Identifies the server process. `process` is the pidfd of a server that has no pid in this
    /// pid namespace.
    pub(super) fn of(server: Credentials, process: Option<OwnedFd>) -> Self {
        let is_other = match server.pid {
            0 => process.is_some(),
            pid => pid != std::process::id(),
        };
        let process = process.map_or_else(OnceLock::new, |process| Some(process).into());
        Self { pid: server.pid, is_other, process }
    }

    /// Sets the server process of a connection that was made before the server was started. For
    /// such a connection the kernel reports the client's own process as the peer.
    pub(super) fn set(&self, spawned: &SpawnedProcess) {
        let _ = self.process.set(spawned.as_fd().try_clone_to_owned().ok());
    }

    /// Returns the end of a wait that begins now: the deadline, or earlier the time of the next
    /// check of the process.
    pub(super) fn wait_end(&self, deadline: Instant) -> Instant {
        if self.is_other { deadline.min(now() + INTERVAL) } else { deadline }
    }

    /// Returns whether the end of the process is noticed. The end of this process need not be.
    pub(super) fn is_watched(&self, socket: &Seqpacket) -> bool {
        !self.is_other || !self.has_ended(socket) && matches!(self.process.get(), Some(Some(_)))
    }

    /// Returns whether the process is known to have ended.
    pub(super) fn has_ended(&self, socket: &Seqpacket) -> bool {
        if !self.is_other {
            return false;
        }
        if let Some(process) = self.process.get() {
            return process
                .as_ref()
                .is_some_and(|process| syshandle_os::has_ended(process.as_fd()));
        }
        // Another process called `listen` if this client connected while the server was started.
        if !socket.peer().is_ok_and(|peer| peer.pid == self.pid) {
            let _ = self.process.set(None);
            return false;
        }
        match socket.peer_process() {
            Ok(process) => {
                let has_ended = syshandle_os::has_ended(process.as_fd());
                let _ = self.process.set(Some(process));
                has_ended
            }
            Err(_) => socket.peer_has_ended(),
        }
    }
}
