//! Where servers are met: `$XDG_RUNTIME_DIR/syshandle`, with a socket and a lock for each
//! registration.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use syshandle_os::Seqpacket;

use super::registry::{Locations, Registered};
use crate::{Error, ErrorKind, Result};

/// The files of one registration's server. The lock guards all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The socket that clients connect to.
    pub socket: PathBuf,
    /// Held while a server is started or ends.
    pub lock: PathBuf,
    /// What the program last wrote to its standard output and error.
    pub log: PathBuf,
    /// Why the last start failed, if it did.
    pub failure: PathBuf,
    /// How confined the first one was who used this folder.
    pub(crate) confinement: PathBuf,
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Meeting {
    /// The files of a registration's server; makes their folder.
    ///
    /// # Errors
    /// [`ErrorKind::NoRuntimeDirectory`], [`ErrorKind::Insecure`]; [`ErrorKind::ActivationDenied`]
    /// when the folder isn't there and can't be made.
    pub fn of(registered: &Registered, locations: &Locations) -> Result<Self> {
        let runtime = locations.runtime_dir.as_ref().ok_or_else(|| {
            let text = "there is no folder for sockets: XDG_RUNTIME_DIR isn't set. A login session \
                        sets it; in a service or a container set it to a folder of mode 0700";
            Error::new(ErrorKind::NoRuntimeDirectory, text)
        })?;
        let folder = runtime.join("syshandle");
        match fs::metadata(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(runtime, &folder)?,
            _ => {}
        }
        for folder in [runtime, &folder] {
            check(folder)?;
        }
        let name = &registered.registration.name;
        let short = &name[..name.floor_char_boundary(NAME_MAX)];
        let id = format!("{short}-{:016x}", hash(registered.file.as_os_str().as_encoded_bytes()));
        let file = |extension: &str| folder.join(format!("{id}.{extension}"));
        Ok(Self {
            socket: registered.registration.socket.clone().unwrap_or_else(|| file("sock")),
            lock: file("lock"),
            log: file("log"),
            failure: file("failed"),
            confinement: folder.join("confinement"),
        })
    }

    /// Takes the lock; `None` when somebody else has it.
    ///
    /// # Errors
    /// [`ErrorKind::ActivationDenied`] without the right to write there.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        let denied = |error| {
            let text = format!(
                "{} can't be locked: this process may only connect to a server that runs",
                self.lock.display()
            );
            Error::new(ErrorKind::ActivationDenied, text).because(error)
        };
        let options =
            File::options().create(true).truncate(false).read(true).write(true).to_owned();
        let file = options.open(&self.lock).map_err(denied)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(denied(error)),
        }
    }

    /// Whether a server serves there now: greets, by `deadline`.
    pub fn serves(&self, deadline: Instant) -> bool {
        let Ok(socket) = Seqpacket::connect(&self.socket, deadline) else { return false };
        socket.wait_readable(deadline).unwrap_or(false)
            && socket.receive(&mut [0; 64], &mut Vec::new()).is_ok_and(|received| received.len > 0)
    }

    /// Notes why a start failed, for those who wait for it. Under the lock.
    pub(crate) fn note_failure(&self, error: &Error) {
        // Who can't read it tries a start of its own.
        let _ = fs::write(&self.failure, format!("{error:#}"));
    }

    /// Why a start failed after `since`, or so short ago that another try makes no sense yet.
    pub(crate) fn recent_failure(&self, since: SystemTime) -> Option<Error> {
        let noted = fs::metadata(&self.failure).ok()?.modified().ok()?;
        let fresh = noted.elapsed().is_ok_and(|age| age < BACKOFF);
        // A file system's clock is coarse.
        if !fresh && noted + Duration::from_millis(20) < since {
            return None;
        }
        let text = fs::read_to_string(&self.failure).ok()?;
        Some(Error::new(ErrorKind::StartFailed, text))
    }

    /// Forgets the failure of another time.
    pub(crate) fn forget_failure(&self) {
        let _ = fs::remove_file(&self.failure);
    }

    /// The end of what the program wrote.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().rev().take(LOG_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn make(runtime: &Path, folder: &Path) -> Result<()> {
    if !runtime.is_dir() {
        let text = format!("the folder for sockets, {}, isn't there", runtime.display());
        return Err(Error::new(ErrorKind::NoRuntimeDirectory, text));
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let text = format!("{} can't be made", folder.display());
            Err(Error::new(ErrorKind::ActivationDenied, text).because(error))
        }
        _ => Ok(()),
    }
}

/// Checks that a folder belongs to this user alone.
fn check(folder: &Path) -> Result<()> {
    let insecure = |what| {
        let text = format!("{} can't be trusted: {what}", folder.display());
        Err(Error::new(ErrorKind::Insecure, text))
    };
    let metadata = fs::metadata(folder).map_err(|error| {
        let text = format!("the folder for sockets, {}, can't be used", folder.display());
        Error::new(ErrorKind::NoRuntimeDirectory, text).because(error)
    })?;
    if metadata.uid() != syshandle_os::own_user() {
        return insecure(format!("it belongs to user {}", metadata.uid()));
    }
    if metadata.mode() & 0o077 != 0 {
        return insecure(format!(
            "others may use it (`chmod 700 {}` mends that)",
            folder.display()
        ));
    }
    Ok(())
}

/// FNV-1a: the same for the same path, now and later.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The path of a socket has 107 bytes at the most (`sun_path` in unix(7)).
const NAME_MAX: usize = 32;

/// After a failed start the next one is tried no sooner.
const BACKOFF: Duration = Duration::from_secs(1);

/// What an error quotes of the log.
const LOG_LINES: usize = 12;
