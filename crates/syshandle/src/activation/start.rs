//! Starting a server, under the lock of its registration.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use syshandle_os::{Listener, Program, Seqpacket, Spawned, spawn};
use syshandle_wire::Hello;

use super::confinement;
use super::connect::{Connected, connect};
use super::registry::{Locations, Registered};
use super::runtime::{Lock, Meeting};
use crate::client::connection::Connection;
use crate::{Error, ErrorKind, Result};

/// A server to be started for a client.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) registered: Registered,
    pub(super) locations: &'a Locations,
    pub(super) meeting: Meeting,
    pub(super) hello: Hello,
    pub(super) deadline: Instant,
}

impl Start<'_> {
    /// Connects to the server, if it runs.
    pub(super) fn connect(&self) -> Result<Connected> {
        let timeout = self.registered.registration.start_timeout;
        connect(&self.meeting, self.hello, timeout, self.deadline)
    }

    /// Starts the server, unless somebody else just has, and connects to it. `began` is when this
    /// client began to want it.
    ///
    /// # Errors
    /// [`ErrorKind::StartFailed`] with the end of the program's log; also when another client's
    /// start failed while this one waited for it.
    pub(super) fn start(&self, _lock: &Lock, began: Duration) -> Result<Connection> {
        let meeting = &self.meeting;
        if let Some(failure) = meeting.recent_failure(began) {
            return Err(failure);
        }
        match self.connect()? {
            Connected::Greeted(connection) => return Ok(*connection),
            Connected::Nobody(_) => {}
            Connected::Hangs(socket) => self.end_hung(&socket)?,
        }
        confinement::check(&meeting.confinement)?;
        match self.start_new() {
            Ok(connection) => {
                meeting.forget_failure();
                meeting.has_started();
                Ok(connection)
            }
            Err(error) => {
                if error.kind() == ErrorKind::StartFailed {
                    meeting.note_failure(&error);
                }
                Err(error)
            }
        }
    }

    /// Ends the program that somebody else started and that will never greet.
    fn end_hung(&self, socket: &Seqpacket) -> Result<()> {
        let program = self.registered.registration.program.display();
        let cannot = |error| {
            let text = format!("{program} hangs, and can't be ended");
            Error::new(ErrorKind::StartFailed, text).because(error)
        };
        let hung = Spawned::of_peer(socket).map_err(cannot)?;
        tracing::warn!(%program, "a server that never greets is ended");
        hung.kill();
        match hung.wait(self.deadline).map_err(cannot)? {
            true => Ok(()),
            false => Err(cannot(io::ErrorKind::TimedOut.into())),
        }
    }

    fn start_new(&self) -> Result<Connection> {
        let Self { registered, meeting, .. } = self;
        let program = registered.registration.program.display();
        tracing::debug!(%program, "starting the server");
        remove_socket(meeting);
        // Before anybody can connect: who finds no note takes the server for a slow one.
        meeting.note_start();
        let listener = listen(meeting)?;
        let spawned = self.run(&listener).inspect_err(|_| {
            remove_socket(meeting);
            meeting.has_started();
        })?;
        drop(listener);
        let error = match self.connect()? {
            Connected::Greeted(connection) => return Ok(*connection),
            Connected::Nobody(error) => {
                // Nobody has its socket any more, so the program is ending.
                let soon = self.deadline.min(Instant::now() + Duration::from_secs(1));
                let what = match spawned.wait(soon)? {
                    true => spawned.exit_text(),
                    false => {
                        // It would go on beside the next one that is tried.
                        spawned.kill();
                        "it closed the socket that it was given".to_owned()
                    }
                };
                Error::new(ErrorKind::StartFailed, format!("{program} did not serve: {what}"))
                    .because(error)
            }
            Connected::Hangs(_) => {
                spawned.kill();
                let time = registered.registration.start_timeout;
                let text = format!("{program} did not serve: it did not greet within {time:?}");
                Error::new(ErrorKind::StartFailed, text)
            }
        };
        remove_socket(meeting);
        meeting.has_started();
        Err(match meeting.log_tail() {
            log if log.is_empty() => error,
            log => error.because(io::Error::other(format!("its log ends:\n{log}"))),
        })
    }

    /// Runs the program with the socket.
    fn run(&self, listener: &Listener) -> Result<Spawned> {
        let Self { registered, locations, meeting, .. } = self;
        let registration = &registered.registration;
        let log = meeting.new_log().map_err(|error| {
            let text = format!("{} can't be made", meeting.log.display());
            Error::new(ErrorKind::System, text).because(error)
        })?;
        let mut environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| INHERITED.contains(&name.as_str()) || name.starts_with("LC_"))
            .collect();
        // The later ones count.
        environment.extend(registration.environment.clone());
        environment.extend(locations.environment());
        for (name, path) in [(REGISTRATION, &registered.file), (SOCKET, &meeting.socket)] {
            environment.insert(name.into(), path.to_string_lossy().into_owned());
        }
        let environment: Vec<_> = environment.into_iter().collect();
        let program = Program {
            path: &registration.program,
            arguments: &registration.arguments,
            environment: &environment,
            log: log.as_fd(),
            listeners: &[listener.as_fd()],
        };
        spawn(&program).map_err(|error| {
            let program = registration.program.display();
            let there = registration.program.exists();
            let what = match error.kind() {
                io::ErrorKind::NotFound if there => {
                    format!("the interpreter that {program} asks for isn't there")
                }
                io::ErrorKind::NotFound => format!("the program {program} isn't there"),
                io::ErrorKind::PermissionDenied if there => {
                    format!("the program {program} may not be run")
                }
                _ => format!("the program {program} can't be run"),
            };
            Error::new(ErrorKind::StartFailed, what).because(error)
        })
    }
}

/// Makes the listening socket, where none serves.
fn listen(meeting: &Meeting) -> Result<Listener> {
    Listener::bind(&meeting.socket).map_err(|error| {
        let path = meeting.socket.display();
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                let text = format!("{path} is in the way of the socket: remove it");
                Error::new(ErrorKind::StartFailed, text)
            }
            _ => {
                let text = format!("{path} can't be made");
                Error::new(ErrorKind::ActivationDenied, text).because(error)
            }
        }
    })
}

fn remove_socket(meeting: &Meeting) {
    // Without one there is nothing to remove, and what else there is shows when one is made.
    let _ = fs::remove_file(&meeting.socket);
}

/// What a server's environment takes over from whoever starts it.
const INHERITED: [&str; 11] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
];

/// Tells a server its registration file.
pub(super) const REGISTRATION: &str = "SYSHANDLE_REGISTRATION";

/// Tells a server the path of the socket that it was given.
pub(super) const SOCKET: &str = "SYSHANDLE_SOCKET";
