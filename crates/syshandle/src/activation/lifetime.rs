//! How a server comes by its socket, and how it lets go of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syshandle_os::{FileLock, Listener, OwnedHandle, Seqpacket, is_elevated, take_listener};
use syshandle_wire::Guid;

use super::Registration;
use super::registry::{Locations, Registered};
use super::runtime::{Lock, Meeting};
use super::start::{REGISTRATION, SOCKET, USERS};
use crate::server::Policy;
use crate::{Error, ErrorKind, Result};

/// Where a server's socket is, and who takes it away.
#[derive(Debug)]
pub(crate) enum Place {
    /// By the rules of this crate: the server removes it, under the lock.
    Ours {
        /// The files of the registration.
        meeting: Meeting,
        /// The socket's device and inode: another server may have made another one there.
        inode: Option<(u64, u64)>,
        /// Says that this server runs.
        _running: Option<FileLock>,
    },
    /// At a path that the program chose: the server removes it.
    Chosen {
        path: PathBuf,
        /// As above.
        inode: Option<(u64, u64)>,
    },
    /// Somebody else's, who goes on to listen on it: systemd, say.
    Theirs {
        /// Says that this server runs.
        _running: Option<FileLock>,
    },
}

/// What a server was given, or took.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) listener: Listener,
    pub(crate) place: Place,
    pub(crate) policy: Option<Policy>,
}

impl Taken {
    /// Makes the socket at a path that the program chose.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyRunning`] if there is something at the path.
    pub(crate) fn at(path: PathBuf) -> Result<Self> {
        let listener = Listener::bind(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                let text = format!(
                    "there is something at {} already: a server listens there, or one has left its \
                     socket when it was killed",
                    path.display()
                );
                Error::new(ErrorKind::AlreadyRunning, text).because(error)
            }
            _ => {
                let text = format!("the socket {} can't be made", path.display());
                Error::new(ErrorKind::System, text).because(error)
            }
        })?;
        let inode = inode(&path);
        Ok(Self { listener, place: Place::Chosen { path, inode }, policy: None })
    }

    /// Listens on a socket that the program was given.
    ///
    /// # Errors
    /// It is no socket that a server can listen on.
    pub(crate) fn on(socket: OwnedHandle) -> Result<Self> {
        let listener = Listener::adopt(socket)?;
        Ok(Self { listener, place: Place::Theirs { _running: None }, policy: None })
    }
}

/// Takes the socket that this program was given by the `LISTEN_FDS` protocol; else makes it, as a
/// client would have.
///
/// # Errors
/// [`ErrorKind::AlreadyRunning`]; those of finding the registration.
pub(crate) fn take(classes: &[Guid]) -> Result<Taken> {
    let Some(socket) = take_listener()? else { return make(classes) };
    let listener = Listener::adopt(socket).map_err(|error| {
        let text = "the socket that this server was given can't be used";
        Error::new(ErrorKind::System, text).because(error)
    })?;
    // One with more rights than whoever starts it believes nothing of that.
    if !is_elevated()
        && let Some((meeting, policy)) =
            told_by_client(&listener, std::env::var_os(SOCKET), std::env::var(USERS).ok())
    {
        return Ok(Taken { listener, place: Place::ours(meeting), policy: Some(policy) });
    }
    let locations = Locations::from_environment();
    let registered =
        std::env::var_os(REGISTRATION).and_then(|file| registered(&PathBuf::from(file)));
    let registered =
        registered.or_else(|| classes.first().and_then(|clsid| locations.find(*clsid).ok()));
    let policy = registered.as_ref().map(|registered| registered.registration.policy.clone());
    let given = std::env::var_os(SOCKET).map(PathBuf::from);
    let meeting = registered.and_then(|registered| Meeting::of(&registered, &locations).ok());
    let place = match meeting {
        Some(meeting) if Some(&meeting.socket) == given.as_ref() => Place::ours(meeting),
        meeting => {
            let running = meeting.and_then(|meeting| meeting.mark_running());
            Place::Theirs { _running: running }
        }
    };
    Ok(Taken { listener, place, policy })
}

/// Where the server is met and for whom it is, as the client says that has started it: it has read
/// the registration just now. To read it again here would hold up that client, and whoever could lie
/// in this program's environment could as well name another registration there.
fn told_by_client(
    listener: &Listener,
    socket: Option<OsString>,
    users: Option<String>,
) -> Option<(Meeting, Policy)> {
    let policy = Policy::from_word(&users?)?;
    let socket = PathBuf::from(socket?);
    // A program that a server starts has its environment, too, but another socket.
    let is_it = listener.path().ok()?? == socket;
    let meeting = is_it.then(|| Meeting::at(socket).ok())??;
    Some((meeting, policy))
}

/// Makes the socket of a server that was started by hand.
fn make(classes: &[Guid]) -> Result<Taken> {
    let Some(clsid) = classes.first() else {
        return Err(Error::new(ErrorKind::NoSuchClass, "a server serves a class at least"));
    };
    let locations = Locations::from_environment();
    let registered = locations.find(*clsid)?;
    if registered.registration.socket.is_some() {
        let text = "somebody else listens for this server, and starts it when it is needed";
        return Err(Error::new(ErrorKind::AlreadyRunning, text));
    }
    let meeting = Meeting::of(&registered, &locations)?;
    check_wrapper(&meeting)?;
    let _lock = wait_for_lock(&meeting)?;
    let soon = Instant::now() + LOCK_TIME;
    if Seqpacket::connect(&meeting.socket, soon).is_ok() {
        let text = format!("another server serves at {}", meeting.socket.display());
        return Err(Error::new(ErrorKind::AlreadyRunning, text));
    }
    let _ = fs::remove_file(&meeting.socket);
    // One that was started and never got here isn't this one.
    meeting.has_started();
    let listener = Listener::bind(&meeting.socket).map_err(|error| {
        let text = format!("the socket {} can't be made", meeting.socket.display());
        Error::new(ErrorKind::System, text).because(error)
    })?;
    let policy = Some(registered.registration.policy);
    Ok(Taken { listener, place: Place::ours(meeting), policy })
}

impl Place {
    fn ours(meeting: Meeting) -> Self {
        let inode = inode(&meeting.socket);
        // Clients come from now on, soon or late.
        meeting.has_started();
        let _running = meeting.mark_running();
        Self::Ours { meeting, inode, _running }
    }

    /// Takes the lock without waiting: who has it is about to start a server, or a client of this
    /// one.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>> {
        match self {
            Self::Theirs { .. } | Self::Chosen { .. } => Ok(None),
            Self::Ours { meeting, .. } => match meeting.try_lock() {
                Ok(Some(lock)) => Ok(Some(lock)),
                Ok(None) => Err(Error::new(ErrorKind::Busy, "somebody else has the lock")),
                // The folder went, with its user's session perhaps: nobody can come any more.
                Err(_) if inode(&meeting.socket).is_none() => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Whether the socket is this server's, and not somebody else's who goes on to listen.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Self::Theirs { .. })
    }

    /// Removes the socket of a server that will not serve, unless a client is at work there.
    pub(crate) fn give_up(&self) {
        if let Ok(_lock) = self.try_lock() {
            self.remove();
        }
    }

    /// Removes the socket, under the lock, unless it is somebody else's to remove.
    pub(crate) fn remove(&self) {
        let (path, own) = match self {
            Self::Ours { meeting, inode, .. } => (&meeting.socket, inode),
            Self::Chosen { path, inode } => (path, inode),
            Self::Theirs { .. } => return,
        };
        if own.is_some() && inode(path) == *own {
            // The lock keeps other servers of a registration away. At a chosen path there are none: a
            // server doesn't take the place of a socket that is there.
            let _ = fs::remove_file(path);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The registration in this file.
fn registered(file: &Path) -> Option<Registered> {
    let text = fs::read_to_string(file).ok()?;
    let name = file.file_stem()?.to_string_lossy();
    let registration = Registration::parse(&name, &text).ok()?;
    Some(Registered { registration, file: file.to_owned() })
}

/// Checks that no wrapper of this program was given the socket: a shell script, say, that runs the
/// program as a child instead of replacing itself.
fn check_wrapper(meeting: &Meeting) -> Result<()> {
    let given = std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse::<u32>().ok());
    let socket = std::env::var_os(SOCKET).map(PathBuf::from);
    let own = std::process::id();
    match given {
        Some(pid) if pid != own && socket.as_ref() == Some(&meeting.socket) => {
            let text = format!(
                "the socket was passed to process {pid}, and this server is process {own}: the program \
                 that is registered must replace itself with the server (in a shell script: `exec`)"
            );
            Err(Error::new(ErrorKind::StartFailed, text))
        }
        _ => Ok(()),
    }
}

fn wait_for_lock(meeting: &Meeting) -> Result<Lock> {
    let deadline = Instant::now() + LOCK_TIME;
    loop {
        if let Some(lock) = meeting.try_lock()? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            let text =
                format!("somebody else has held {} for {LOCK_TIME:?}", meeting.lock.display());
            return Err(Error::new(ErrorKind::AlreadyRunning, text));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whoever has the lock starts a server, and that is a matter of milliseconds.
const LOCK_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;

    #[test]
    fn what_a_client_says_is_believed_of_the_own_socket_in_a_folder_of_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("run/syshandle");
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&place).unwrap();
        let socket = place.join("server-0.sock");
        let listener = Listener::bind(&socket).unwrap();
        let told = |socket: &Path, users: &str| {
            told_by_client(&listener, Some(socket.into()), Some(users.into()))
        };
        let (meeting, policy) = told(&socket, "7,1000").unwrap();
        assert_eq!(meeting.socket, socket);
        assert_eq!(meeting.lock, place.join("server-0.lock"));
        assert_eq!(policy, Policy::users([7, 1000]));
        assert!(told(&socket, "everybody").is_none());
        assert!(told(&place.join("other-0.sock"), "7").is_none());
        assert!(told_by_client(&listener, Some(socket.clone().into()), None).is_none());
        assert!(told_by_client(&listener, None, Some("7".into())).is_none());
        fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
        assert!(told(&socket, "7").is_none());
    }
}
