//! Performs the steps of an activation: finds the running server, or starts it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use syshandle_os::{
    FileStatus, Listener, Peer, Program, Seqpacket, SpawnStep, SpawnedProcess, UnconnectedSocket,
    spawn, uptime,
};
use syshandle_registry::{
    FailureNote, Lock, RegistrationFile, Registry, RuntimePaths, ServerSocket, trust,
};
use syshandle_wire::Hello;

use super::confinement;
use super::connect::{ConnectOutcome, connect, open};
use super::protocol::{Answer, Step};
use crate::client::linux::connection::ClientConnection;
use crate::error::{LOG_FOLLOWS, LOG_LINE};
use crate::peer_socket::PeerSocket;
use crate::wait_mode::WaitMode;
use crate::{Error, ErrorKind, Result};
use syshandle_types::Printable;

/// The state of an activation.
#[derive(Debug)]
pub(super) struct Start<'a> {
    mode: WaitMode,
    file: &'a RegistrationFile,
    registry: &'a Registry,
    paths: &'a RuntimePaths,
    hello: Hello,
    deadline: Instant,
    /// Uptime at which this activation began.
    began: Duration,
    /// Length of the next pause.
    pause: Duration,
    /// The process that held the lock at the last attempt.
    locked_out: Option<u32>,
    /// The reason why no server serves, from the last attempt to connect; `None` if the server
    /// hangs.
    nobody: Option<Error>,
    lock: Option<Lock>,
    hung: Option<PeerSocket>,
    /// A socket from a failed attempt to connect, for reuse.
    unconnected: Option<UnconnectedSocket>,
    /// A connection that waits in the queue of the own socket.
    queued: Option<Seqpacket>,
    listener: Option<Listener>,
    spawned: Option<SpawnedProcess>,
    connection: Option<ClientConnection>,
    error: Option<Error>,
}

impl<'a> Start<'a> {
    pub(super) fn new(
        mode: WaitMode,
        file: &'a RegistrationFile,
        paths: &'a RuntimePaths,
        registry: &'a Registry,
        hello: Hello,
        deadline: Instant,
    ) -> Self {
        Self {
            mode,
            file,
            registry,
            paths,
            hello,
            deadline,
            began: uptime(),
            pause: Duration::from_millis(1),
            locked_out: None,
            nobody: None,
            lock: None,
            hung: None,
            unconnected: None,
            queued: None,
            listener: None,
            spawned: None,
            connection: None,
            error: None,
        }
    }

    /// Performs all steps.
    ///
    /// # Errors
    /// [`ErrorKind::StartFailed`] with the end of the program's log, also if the start of another
    /// client failed while this one waited for it. Otherwise the error of the failed step.
    pub(super) async fn run(mut self) -> Result<ClientConnection> {
        let mut step = Step::FIRST;
        while step != Step::Failed {
            let answer = self.take(step).await.unwrap_or_else(|error| {
                self.error = Some(error);
                Answer::No
            });
            step = step.next(answer);
            let connection = self.connection.take_if(|_| step == Step::Connected);
            let Some(connection) = connection else { continue };
            if let Some(spawned) = &self.spawned {
                connection.watch(spawned);
            }
            return Ok(connection);
        }
        Err(self.error.take().unwrap_or_else(|| self.time_is_over()))
    }

    /// Performs one step.
    async fn take(&mut self, step: Step) -> Result<Answer> {
        let paths = self.paths;
        match step {
            Step::Connect | Step::ConnectAgain | Step::Meet => return self.connect().await,
            Step::TryLock => {
                if Instant::now() >= self.deadline {
                    return Err(self.time_is_over());
                }
                match paths.try_lock_or_holder()? {
                    Ok(lock) => self.lock = Some(lock),
                    Err(holder) => {
                        self.locked_out = Some(holder);
                        return Ok(Answer::Busy);
                    }
                }
            }
            Step::Pause => {
                // Another process is starting or ending the server. The next attempt to connect
                // shows which.
                let left = self.deadline.saturating_duration_since(Instant::now());
                self.mode.pause(self.pause.min(left)).await;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
            }
            Step::LookForFailure => {
                if let Some(note) = paths.recent_failure(self.began, &self.version()) {
                    return Err(noted_failure(&note));
                }
            }
            Step::EndHung => self.end_hung().await?,
            Step::CheckConfinement => confinement::check(&paths.confinement)?,
            Step::RemoveOld => remove_socket(paths),
            // The note comes before the socket: a client that connects and finds no note takes the
            // server for a slow one.
            Step::NoteStart => paths
                .note_start()
                .map_err(|error| trust::cannot(&paths.starting, "written", error))?,
            Step::Listen => self.listener = Some(listen(paths)?),
            Step::Queue => {
                let unconnected = &mut self.unconnected;
                let queued = connect(self.mode, unconnected, &paths.socket, self.deadline).await;
                self.queued = queued.ok().and_then(|queued| queued.ok());
            }
            Step::Spawn => {
                if let Some(listener) = self.listener.take() {
                    self.spawned = Some(self.spawn(&listener)?);
                }
            }
            Step::Settle => {
                paths.forget_failure();
                paths.has_started();
            }
            Step::EndStarted => self.error = Some(self.end_started().await?),
            Step::RemoveFailed => {
                remove_socket(paths);
                paths.has_started();
            }
            Step::NoteFailure => {
                let failed = |error: &&Error| error.kind() == ErrorKind::StartFailed;
                if let Some(error) = self.error.as_ref().filter(failed) {
                    paths.note_failure(&format!("{error:#}"), &self.version());
                }
            }
            Step::Connected | Step::Failed => {}
        }
        Ok(Answer::Done)
    }

    /// Connects to the server, if it runs.
    async fn connect(&mut self) -> Result<Answer> {
        let Self { mode, paths, deadline, .. } = *self;
        let connected = match self.queued.take() {
            Some(socket) => Ok(socket),
            None => connect(mode, &mut self.unconnected, &paths.socket, deadline).await?,
        };
        let timeout = self.file.registration.start_timeout;
        let connected = match connected {
            Ok(socket) => {
                // For a connection made before the program was started, the kernel reports this
                // process as the peer.
                let has_ended = |socket: &Seqpacket| match &self.spawned {
                    Some(spawned) => spawned.has_ended(),
                    None => socket.peer_has_ended(),
                };
                open(mode, socket, paths, self.hello, timeout, deadline, has_ended).await?
            }
            Err(nobody) => ConnectOutcome::Nobody(nobody),
        };
        Ok(match connected {
            ConnectOutcome::Greeted(connection) => {
                self.connection = Some(*connection);
                Answer::Greeted
            }
            ConnectOutcome::Nobody(error) => {
                self.nobody = Some(error);
                Answer::Nobody
            }
            ConnectOutcome::Hangs(socket) => {
                self.nobody = None;
                self.hung = Some(socket);
                Answer::Hangs
            }
        })
    }

    fn time_is_over(&mut self) -> Error {
        let text = match self.locked_out {
            Some(holder) => format!(
                "timed out connecting to a server: process {holder} holds {} and has not started \
                 it",
                self.paths.lock.display()
            ),
            None => "timed out connecting to a server".to_owned(),
        };
        let hangs =
            || Error::detected(ErrorKind::TimedOut, "the server does not send its greeting");
        Error::detected(ErrorKind::TimedOut, text).because(self.nobody.take().unwrap_or_else(hangs))
    }

    /// Ends the program that another client started and that did not greet.
    async fn end_hung(&mut self) -> Result<()> {
        let Some(socket) = self.hung.take() else { return Ok(()) };
        let program = Printable(self.file.registration.program.display());
        let cannot = |error| {
            let text = format!("{program} hangs, and can't be ended");
            Error::detected(ErrorKind::StartFailed, text).because(error)
        };
        let hung = SpawnedProcess::of_peer(&socket).map_err(cannot)?;
        crate::log::warn!(%program, "a server that never greets is ended");
        hung.kill().map_err(cannot)?;
        match self.mode.readable(&hung, self.deadline).await.map_err(cannot)? {
            true => Ok(()),
            false => Err(cannot(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Handles the failure of the program that this client started: makes sure that the program
    /// ends, and returns the reason.
    async fn end_started(&mut self) -> Result<Error> {
        let Some(spawned) = self.spawned.take() else { return Err(self.time_is_over()) };
        let program = self.file.registration.program.display();
        let error = match self.nobody.take() {
            Some(error) => {
                // The socket is closed, so the program is probably ending.
                let soon = self.deadline.min(Instant::now() + Duration::from_secs(1));
                let what = match self.mode.readable(&spawned, soon).await? {
                    true => spawned.exit_text(),
                    false => {
                        // Otherwise it would continue to run beside the next attempt.
                        let _ = spawned.kill();
                        "it closed the socket that it was given".to_owned()
                    }
                };
                Error::detected(ErrorKind::StartFailed, format!("{program} did not serve: {what}"))
                    .because(error)
            }
            None => {
                let _ = spawned.kill();
                let time = self.file.registration.start_timeout;
                let text = format!("{program} did not serve: it did not greet within {time:?}");
                Error::detected(ErrorKind::StartFailed, text)
            }
        };
        Ok(error.with_log(self.paths.log_tail().lines()))
    }

    /// Identifies the registration and the program by their change times. A failed start says
    /// nothing about other versions of them.
    fn version(&self) -> String {
        let changed = |path: &Path| FileStatus::at(path).map_or(0, |status| status.changed);
        let program = changed(&self.file.registration.program);
        format!("{}-{program}", changed(&self.file.path))
    }

    /// Runs the program with the socket.
    fn spawn(&self, listener: &Listener) -> Result<SpawnedProcess> {
        let Self { file, registry, paths, .. } = self;
        let registration = &file.registration;
        trust::check_program(&registration.program)?;
        let program = Printable(registration.program.display());
        crate::log::debug!(%program, "starting the server");
        let log = paths.new_log().map_err(|error| trust::cannot(&paths.log, "made", error))?;
        let is_inherited = |name: &OsStr| {
            INHERITED.iter().any(|inherited| name == *inherited)
                || name.as_encoded_bytes().starts_with(b"LC_")
        };
        let mut environment: BTreeMap<OsString, OsString> =
            std::env::vars_os().filter(|(name, _)| is_inherited(name)).collect();
        // Later variables override earlier ones.
        let own = registration.environment.iter();
        environment.extend(own.map(|(name, value)| (name.into(), value.into())));
        environment.extend(registry.environment());
        environment.extend(ServerSocket::environment(file, paths));
        let environment: Vec<_> = environment.into_iter().collect();
        let program = Program {
            path: &registration.program,
            arguments: &registration.arguments,
            environment: &environment,
            log: log.as_fd(),
            listeners: &[listener.as_fd()],
        };
        spawn(&program).map_err(|(step, error)| not_spawned(&registration.program, step, error))
    }
}

/// Returns the error for a program that could not be started, depending on the failed step.
fn not_spawned(path: &Path, step: SpawnStep, cause: io::Error) -> Error {
    let program = path.display();
    // Most steps fail for reasons unrelated to the program, so other clients make their own
    // attempts.
    let (kind, text) = match (step, cause.kind()) {
        (SpawnStep::Null, _) => (
            ErrorKind::System,
            format!("{program} can't be started: /dev/null, its standard input, can't be opened"),
        ),
        (SpawnStep::Descriptors, _) => (
            ErrorKind::System,
            format!("{program} can't be started: its descriptors can't be set up"),
        ),
        (SpawnStep::Clone, _) => {
            (ErrorKind::System, format!("{program} can't be started: no process can be created"))
        }
        (SpawnStep::Folder, _) => (
            ErrorKind::System,
            format!("{program} can't be started: the root folder can't be entered"),
        ),
        (SpawnStep::Arguments, _) => (
            ErrorKind::BadRegistration,
            format!(
                "{program} can't be started: its path, arguments or environment have a zero byte"
            ),
        ),
        (SpawnStep::Exec, io::ErrorKind::NotFound) if path.exists() => (
            ErrorKind::StartFailed,
            format!("{program} can't be started: its interpreter does not exist"),
        ),
        (SpawnStep::Exec, io::ErrorKind::NotFound) => (
            ErrorKind::StartFailed,
            format!("{program} can't be started: the program does not exist"),
        ),
        (SpawnStep::Exec, io::ErrorKind::PermissionDenied) => (
            ErrorKind::StartFailed,
            format!("{program} can't be started: it is not executable for this user"),
        ),
        (SpawnStep::Exec, _) => (ErrorKind::StartFailed, format!("{program} can't be started")),
    };
    Error::detected(kind, text).because(cause)
}

/// Returns the error of a start that another client noted.
fn noted_failure(note: &FailureNote) -> Error {
    let mut lines = note.text.split(LOG_LINE);
    let text = lines.next().unwrap_or_default();
    let text = text.strip_suffix(LOG_FOLLOWS).unwrap_or(text);
    let earlier = format!(
        "{text} ({} ms ago; the next start is tried after {:?})",
        note.age.as_millis(),
        RuntimePaths::BACKOFF
    );
    let text = if note.is_earlier { &earlier } else { text };
    Error::detected(ErrorKind::StartFailed, text).with_log(lines)
}

/// Creates the listening socket at a path where no server serves.
fn listen(paths: &RuntimePaths) -> Result<Listener> {
    Listener::bind(&paths.socket).map_err(|error| {
        let path = paths.socket.display();
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                let text = format!(
                    "the socket {path} can't be made: another file has this path (remove it)"
                );
                Error::detected(ErrorKind::StartFailed, text)
            }
            _ => trust::cannot(&paths.socket, "made", error).into(),
        }
    })
}

fn remove_socket(paths: &RuntimePaths) {
    // An error is ignored: either there was no socket, or creating the new one fails too.
    let _ = fs::remove_file(&paths.socket);
}

/// Maximum pause before the next attempt to take the lock.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Environment variables that a server inherits from the client that starts it.
const INHERITED: [&str; 12] = [
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
    // Whether a process spins for messages before it sleeps.
    crate::spin::SPIN,
];
