//! Starting a server, under the lock of its registration.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use syshandle_os::{Listener, Program, Spawned, spawn};
use syshandle_wire::Hello;

use super::registry::{Locations, Registered};
use super::runtime::{Lock, Meeting};
use super::{Connected, confinement, connect};
use crate::client::connection::Connection;
use crate::{Error, ErrorKind, Result};

/// Starts the server, unless somebody else just has, and connects to it.
///
/// # Errors
/// [`ErrorKind::StartFailed`] with the end of the program's log; also when another client's start
/// failed while this one waited for it.
pub(super) fn start(
    registered: &Registered,
    locations: &Locations,
    meeting: &Meeting,
    _lock: &Lock,
    hello: Hello,
    began: SystemTime,
    deadline: Instant,
) -> Result<Connection> {
    if let Some(failure) = meeting.recent_failure(began) {
        return Err(failure);
    }
    if let Connected::Greeted(connection) = connect(meeting, hello, deadline)? {
        return Ok(*connection);
    }
    confinement::check(&meeting.confinement)?;
    match start_new(registered, locations, meeting, hello, deadline) {
        Ok(connection) => {
            meeting.forget_failure();
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

fn start_new(
    registered: &Registered,
    locations: &Locations,
    meeting: &Meeting,
    hello: Hello,
    deadline: Instant,
) -> Result<Connection> {
    let program = registered.registration.program.display();
    tracing::debug!(%program, "starting the server");
    let started_at = Instant::now();
    let listener = listen(meeting)?;
    let spawned = run(registered, locations, meeting, &listener).inspect_err(|_| remove_socket(meeting))?;
    drop(listener);
    let connected = connect(meeting, hello, deadline);
    let error = match connected {
        Ok(Connected::Greeted(connection)) => return Ok(*connection),
        Ok(Connected::Nobody(error)) => {
            // Nobody has its socket any more, so the program is ending.
            let soon = deadline.min(Instant::now() + Duration::from_secs(1));
            let what = match spawned.wait(soon)? {
                true => spawned.exit_text(),
                false => "it closed the socket that it was given".to_owned(),
            };
            Error::new(ErrorKind::StartFailed, format!("{program} did not serve: {what}"))
                .because(error)
        }
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            if started_at.elapsed() < GREETING_TIME {
                // A client in a hurry doesn't take a slow server from the others.
                return Err(error);
            }
            spawned.kill();
            let text =
                format!("{program} did not serve: it did not greet within {GREETING_TIME:?}");
            Error::new(ErrorKind::StartFailed, text)
        }
        Err(error) => return Err(error),
    };
    remove_socket(meeting);
    Err(match meeting.log_tail() {
        log if log.is_empty() => error,
        log => error.because(io::Error::other(format!("its log ends:\n{log}"))),
    })
}

/// Makes the listening socket, where none serves.
fn listen(meeting: &Meeting) -> Result<Listener> {
    remove_socket(meeting);
    Listener::bind(&meeting.socket).map_err(|error| {
        let text = format!("{} can't be made", meeting.socket.display());
        Error::new(ErrorKind::ActivationDenied, text).because(error)
    })
}

fn remove_socket(meeting: &Meeting) {
    // Without one there is nothing to remove, and what else there is shows when one is made.
    let _ = fs::remove_file(&meeting.socket);
}

/// Runs the program with the socket.
fn run(
    registered: &Registered,
    locations: &Locations,
    meeting: &Meeting,
    listener: &Listener,
) -> Result<Spawned> {
    let registration = &registered.registration;
    let log =
        File::options().create(true).truncate(true).write(true).open(&meeting.log).map_err(
            |error| Error::new(ErrorKind::System, "the log can't be made").because(error),
        )?;
    let mut environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| INHERITED.contains(&name.as_str()) || name.starts_with("LC_"))
        .filter(|(name, _)| !registration.environment.contains_key(name))
        .collect();
    environment.extend(registration.environment.clone());
    for (name, path) in [(REGISTRATION, &registered.file), (SOCKET, &meeting.socket)] {
        environment.push((name.into(), path.to_string_lossy().into_owned()));
    }
    environment.extend(locations.environment());
    let program = Program {
        path: &registration.program,
        arguments: &registration.arguments,
        environment: &environment,
        log: log.as_fd(),
        listeners: &[listener.as_fd()],
    };
    spawn(&program).map_err(|error| {
        let program = registration.program.display();
        let missing = error.kind() == io::ErrorKind::NotFound;
        let denied =
            error.kind() == io::ErrorKind::PermissionDenied && registration.program.exists();
        let what = match () {
            () if missing => format!("the program {program} isn't there"),
            () if denied => format!("the program {program} may not be run"),
            () => format!("the program {program} can't be run"),
        };
        Error::new(ErrorKind::StartFailed, what).because(error)
    })
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

/// A program that takes longer to greet hangs.
const GREETING_TIME: Duration = Duration::from_secs(10);
