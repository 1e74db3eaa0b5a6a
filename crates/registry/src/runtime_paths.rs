//! The runtime files of servers in `$XDG_RUNTIME_DIR/syshandle`, with a socket and a lock for each
//! registration.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use syshandle_os::{
    FileLock, FileStatus, LockAttempt, read_proc_link, resource_limits, uptime,
    within_file_size_limit,
};

use crate::hash::fnv1a;
use crate::{Error, ErrorKind, RegistrationFile, Registry, Result, trust};

/// The paths of the runtime files of one registration's server. The holder of the lock may change
/// the other files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimePaths {
    /// The socket to which clients connect.
    pub socket: PathBuf,
    /// The lock file. It is locked while a server is being started or is ending.
    pub lock: PathBuf,
    /// The log, which contains the standard output and error of the program's last run and the last
    /// lines of earlier runs.
    pub log: PathBuf,
    /// The failure note, which contains the reason why the last start failed.
    pub failure: PathBuf,
    /// The start note, which contains the time at which the program was started. It exists until
    /// the program takes over its socket.
    pub starting: PathBuf,
    /// A lock file in which each running server locks one byte.
    pub running: PathBuf,
    /// The confinement note, which contains the restrictions of the first client that used this
    /// folder.
    pub confinement: PathBuf,
}

/// The lock of a registration, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _lock: FileLock,
}

/// The failure note of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureNote {
    /// The reason why the start failed.
    pub text: String,
    /// Time since the failure.
    pub age: Duration,
    /// Whether the start failed before the current activation began.
    pub is_earlier: bool,
}

impl RuntimePaths {
    /// Minimum time between a failed start and the next attempt.
    pub const BACKOFF: Duration = Duration::from_secs(1);

    /// Returns the runtime paths of a registration's server. Creates the folder if necessary.
    ///
    /// # Errors
    /// [`ErrorKind::NoRuntimeDirectory`] and [`ErrorKind::Insecure`].
    /// [`ErrorKind::ActivationDenied`] if the folder doesn't exist and can't be created.
    pub fn of(file: &RegistrationFile, registry: &Registry) -> Result<Self> {
        match Self::find(file, registry)? {
            (paths, None) => Ok(paths),
            (_, Some(distrust)) => Err(distrust),
        }
    }

    /// Returns the runtime paths like [`RuntimePaths::of`]. If no server may be started there, also
    /// returns the reason, instead of an error.
    ///
    /// # Errors
    /// [`ErrorKind::NoRuntimeDirectory`]. [`ErrorKind::ActivationDenied`] if the folder doesn't
    /// exist and can't be created.
    pub fn find(file: &RegistrationFile, registry: &Registry) -> Result<(Self, Option<Error>)> {
        let runtime = registry.runtime_dir.as_ref().ok_or_else(|| {
            let text = match syshandle_os::is_elevated() {
                true => {
                    "a program with more rights than its caller doesn't trust XDG_RUNTIME_DIR: it \
                     reaches only servers whose registration names their socket"
                }
                false => {
                    "there is no runtime folder: XDG_RUNTIME_DIR isn't set (a login session sets \
                     it; in a service or a container, set it to a folder of mode 0700)"
                }
            };
            Error::new(ErrorKind::NoRuntimeDirectory, text)
        })?;
        let folder = runtime.join("syshandle");
        let mut distrust = check(runtime)?;
        if distrust.is_none() {
            make(&folder)?;
        }
        distrust = match (distrust, check(&folder)) {
            (Some(distrust), Err(_)) => return Err(distrust),
            (distrust, checked) => distrust.or(checked?),
        };
        let name = file.registration.name.chars().take(NAME_MAX);
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let plain: String = name.map(|c| if is_plain(&c) { c } else { '_' }).collect();
        let id =
            format!("{plain}-{:016x}", fnv1a(resolved(&file.path).as_os_str().as_encoded_bytes()));
        let socket = folder.join(format!("{id}.{SOCKET}"));
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            let text = format!(
                "the path of a socket has at most {SOCKET_PATH_MAX} bytes, and {} has {}: set \
                 XDG_RUNTIME_DIR to a shorter one",
                socket.display(),
                socket.as_os_str().len()
            );
            return Err(Error::new(ErrorKind::NoRuntimeDirectory, text));
        }
        Ok((Self::with(socket), distrust))
    }

    /// Returns the runtime paths that belong to the path of a socket, which a client has just
    /// determined.
    ///
    /// # Errors
    /// [`ErrorKind::NoRuntimeDirectory`] and [`ErrorKind::Insecure`].
    pub fn at(socket: PathBuf) -> Result<Self> {
        let folder = socket.parent().unwrap_or(&socket);
        for folder in folder.parent().into_iter().chain([folder]) {
            check(folder)?.map_or(Ok(()), Err)?;
        }
        Ok(Self::with(socket))
    }

    fn with(socket: PathBuf) -> Self {
        Self {
            lock: socket.with_extension("lock"),
            log: socket.with_extension("log"),
            failure: socket.with_extension("failed"),
            starting: socket.with_extension("starting"),
            running: socket.with_extension(RUNNING),
            confinement: socket.with_file_name("confinement"),
            socket,
        }
    }

    /// Takes the lock without waiting. Returns `None` if another process or thread holds it.
    ///
    /// # Errors
    /// [`ErrorKind::ActivationDenied`] if this process may not write to the folder.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        Ok(self.try_lock_or_holder()?.ok())
    }

    /// Takes the lock without waiting, or returns the process ID of its holder. The ID is 0 if the
    /// holder isn't visible in this pid namespace.
    ///
    /// # Errors
    /// [`ErrorKind::ActivationDenied`] if this process may not write to the folder.
    pub fn try_lock_or_holder(&self) -> Result<Result<Lock, u32>> {
        match FileLock::try_take(&self.lock) {
            Ok(LockAttempt::Taken(lock)) => Ok(Ok(Lock { _lock: lock })),
            Ok(LockAttempt::Held(pid)) => Ok(Err(pid)),
            Err(error) => Err(trust::cannot(&self.lock, "locked", error)),
        }
    }

    /// Returns whether a server is marked as running.
    pub fn is_running(&self) -> bool {
        FileLock::holders(&self.running).is_ok_and(|holders| !holders.is_empty())
    }

    /// Registers this process as a running server until the returned lock is dropped.
    pub fn mark_running(&self) -> Option<FileLock> {
        mark_running(&self.running)
    }

    /// Writes the start note. The caller must hold the lock.
    ///
    /// The note is a symbolic link with the time as its target, which needs no data blocks and is
    /// exempt from file size limits.
    ///
    /// # Errors
    /// The errors of [`symlink(2)`](https://man7.org/linux/man-pages/man2/symlink.2.html).
    pub fn note_start(&self) -> io::Result<()> {
        // Removes the note of a start that was interrupted.
        self.has_started();
        symlink(format!("{} {}", uptime().as_millis(), clock()), &self.starting)
    }

    /// Removes the start note after the program has taken over its socket or has ended.
    pub fn has_started(&self) {
        let _ = fs::remove_file(&self.starting);
    }

    /// Returns the system's uptime at which the program was started, if the program hasn't taken
    /// over its socket yet.
    ///
    /// Returns `None` if the note was written in another time namespace, because the difference of
    /// the clocks could make the program seem to have hung for days.
    pub fn starting_since(&self) -> Option<Duration> {
        let note = fs::read_link(&self.starting).ok()?;
        let (since, of_clock) = note.to_str()?.split_once(' ')?;
        if of_clock != clock() {
            return None;
        }
        since.parse().ok().map(Duration::from_millis)
    }

    /// Writes the failure note for the clients that wait for this start. The caller must hold the
    /// lock.
    ///
    /// `version` identifies the version of the registration and the program whose start failed.
    /// `text` is the reason.
    pub fn note_failure(&self, text: &str, version: &str) {
        let limits: Vec<_> = resource_limits().iter().map(u64::to_string).collect();
        let (now, limits) = (uptime().as_millis(), limits.join(" "));
        // If the note can't be written, each waiting client tries to start the server itself.
        let note = || fs::write(&self.failure, format!("{version} {now} {limits}\n{text}"));
        let _ = within_file_size_limit(note);
    }

    /// Returns the note of a start that failed after `since`, or so recently that another attempt
    /// should wait.
    ///
    /// Returns `None` if this process has higher resource limits than the client whose start
    /// failed, because the limits may have been the reason.
    pub fn recent_failure(&self, since: Duration, version: &str) -> Option<FailureNote> {
        let note = fs::read_to_string(&self.failure).ok()?;
        let (head, text) = note.split_once('\n')?;
        let head = head.strip_prefix(version)?.strip_prefix(' ')?;
        let mut numbers = head.split(' ').map(|number| number.parse::<u64>().ok());
        let noted = Duration::from_millis(numbers.next()??);
        let own = resource_limits();
        let others: Vec<_> = numbers.collect::<Option<_>>()?;
        if own.len() != others.len() || own.iter().zip(&others).any(|(own, other)| own > other) {
            return None;
        }
        // The uptime can't be set. A note with a later uptime is from an earlier boot, and is
        // ignored.
        let age = uptime().checked_sub(noted)?;
        let is_earlier = noted < since;
        if is_earlier && age >= Self::BACKOFF {
            return None;
        }
        Some(FailureNote { text: text.to_owned(), age, is_earlier })
    }

    /// Removes the failure note of an earlier start.
    pub fn forget_failure(&self) {
        let _ = fs::remove_file(&self.failure);
    }

    /// Opens the log for a new run, and keeps the last lines of earlier runs. A server that is
    /// ending may still write to it.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn new_log(&self) -> io::Result<File> {
        let mut log = File::options().create(true).append(true).read(true).open(&self.log)?;
        // If the old lines can't be kept, the start continues without them.
        let kept = last_lines(&mut log).unwrap_or_default();
        log.set_len(0)?;
        if !kept.is_empty() {
            let text = [kept.trim_ascii_end(), b"\n", RUN_FOLLOWS.as_bytes(), b"\n"].concat();
            let _ = within_file_size_limit(|| log.write_all(&text));
        }
        Ok(log)
    }

    /// Returns the last lines of the most recent run from the log.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let run = text.lines().rev().take_while(|line| *line != RUN_FOLLOWS);
        let lines: Vec<_> = run.take(LOG_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The lock files in which the running servers of one registration are marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningServers {
    places: Vec<PathBuf>,
}

impl RunningServers {
    /// Returns the lock files of a registration. If another program listens on the socket of the
    /// registration, a folder beside the socket comes first, if it exists. A server of the system
    /// has no runtime folder, and marks itself there.
    ///
    /// # Errors
    /// The errors of [`RuntimePaths::of`], if the registration names no socket.
    pub fn of(file: &RegistrationFile, registry: &Registry) -> Result<Self> {
        let folder = file.registration.socket.as_deref().map(Self::folder);
        let mut places: Vec<_> = folder.into_iter().map(|folder| folder.join(RUNNING)).collect();
        match RuntimePaths::of(file, registry) {
            Ok(paths) => places.push(paths.running),
            Err(error) if places.is_empty() => return Err(error),
            Err(_) => {}
        }
        places.retain(|place| place.parent().is_some_and(Path::is_dir));
        Ok(Self { places })
    }

    /// Returns the folder beside a socket: the path of the socket without its extension.
    pub fn folder(socket: &Path) -> PathBuf {
        socket.with_extension("")
    }

    /// Returns the process IDs of the running servers. Includes servers that are about to end. The
    /// ID is 0 if the process isn't visible in this pid namespace.
    ///
    /// Does not connect to the socket, because that would keep the server running, or would start a
    /// server if another program such as systemd listens.
    pub fn ids(&self) -> Vec<u32> {
        let holders = |place: &PathBuf| FileLock::holders(place).unwrap_or_default();
        self.places.iter().flat_map(holders).collect()
    }

    /// Registers this process as a running server until the returned lock is dropped.
    pub(crate) fn mark(&self) -> Option<FileLock> {
        self.places.iter().find_map(|place| mark_running(place))
    }
}

/// Takes a lock on a file for running servers. Without the lock, the server only doesn't appear in
/// lists of running servers.
fn mark_running(place: &Path) -> Option<FileLock> {
    match FileLock::try_take_own(place) {
        Ok(LockAttempt::Taken(mark)) => Some(mark),
        _ => None,
    }
}

/// Returns an identifier of the clock that [`uptime`] reads. Each time namespace has its own clock.
fn clock() -> String {
    // Without `/proc`, clocks can't be distinguished, so all have the same identifier.
    read_proc_link("/proc/self/ns", "time").unwrap_or_default()
}

/// Returns the last complete lines of a log, at most [`LOG_KEPT`] bytes.
fn last_lines(log: &mut File) -> io::Result<Vec<u8>> {
    let len = log.metadata()?.len();
    let start = len.saturating_sub(LOG_KEPT);
    log.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    log.take(LOG_KEPT).read_to_end(&mut text)?;
    if start > 0 {
        let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| end + 1);
        text.drain(..end);
    }
    Ok(text)
}

/// Creates the folder for sockets if it doesn't exist.
fn make(folder: &Path) -> Result<()> {
    let denied = |error| Err(trust::cannot_or(ErrorKind::ActivationDenied, folder, "made", error));
    let Err(error) = DirBuilder::new().mode(0o700).create(folder) else { return Ok(()) };
    // If creating the folder failed, it may still exist.
    match folder.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => denied(error),
        Err(_) if error.kind() != io::ErrorKind::AlreadyExists => denied(error),
        Err(unknown) => denied(unknown),
    }
}

fn unusable(folder: &Path, what: &str) -> Error {
    let text = format!("the runtime folder {} {what}", folder.display());
    Error::new(ErrorKind::NoRuntimeDirectory, text)
}

/// Checks that only this user may use a folder. If not, returns the reason why no server may be
/// started there.
///
/// # Errors
/// The folder does not exist.
fn check(folder: &Path) -> Result<Option<Error>> {
    let status = FileStatus::at(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unusable(folder, "does not exist"),
        _ => unusable(folder, "can't be used").because(error),
    })?;
    if !status.is_folder() {
        return Err(unusable(folder, "is not a directory"));
    }
    Ok(trust::check_private(folder, &status).err())
}

/// Resolves symbolic links in the folder of a registration file. If the file itself is a link, the
/// link is not resolved, because the registration stays the same when the link's target changes.
fn resolved(file: &Path) -> PathBuf {
    let mut folders = file.ancestors().skip(1);
    let there = folders.find_map(|folder| {
        let rest = file.strip_prefix(folder).ok()?;
        Some(fs::canonicalize(folder).ok()?.join(rest))
    });
    there.unwrap_or_else(|| file.to_owned())
}

/// Extension of socket files.
const SOCKET: &str = "sock";

/// Extension of the lock file for running servers in the runtime folder, and its name in a folder
/// beside a socket.
const RUNNING: &str = "running";

/// Maximum length of the path of a socket, which is the size of `sun_path` without the terminating
/// zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// Maximum number of bytes that runtime file names take from the name of a registration, so that
/// the path of the socket isn't too long.
const NAME_MAX: usize = 32;

/// The line that separates the runs in a log.
const RUN_FOLLOWS: &str = "---- the server was started again ----";

/// Maximum size in bytes of the lines that a log keeps from earlier runs.
const LOG_KEPT: u64 = 64 * 1024;

/// Maximum number of log lines that an error quotes.
const LOG_LINES: usize = 12;
