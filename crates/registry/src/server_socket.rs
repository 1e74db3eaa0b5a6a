//! The listening socket of a server: how the server obtains it, and when it removes it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syshandle_os::{FileLock, Listener, OwnedHandle, Seqpacket, is_elevated, take_listener};
use syshandle_types::Guid;

use crate::{
    Error, ErrorKind, Lock, Policy, Registration, RegistrationFile, Registry, Result,
    RunningServers, RuntimePaths,
};

/// The location of a server's socket, which determines who removes it.
#[derive(Debug)]
pub enum SocketLocation {
    /// In the runtime folder. The server removes the socket while it holds the lock.
    Runtime {
        /// The runtime paths of the registration.
        paths: RuntimePaths,
        /// Device and inode numbers of the socket. They differ if another server has replaced it.
        inode: Option<(u64, u64)>,
        /// The lock that registers this server as running.
        running: Option<FileLock>,
    },
    /// At a path that the program chose. The server removes the socket.
    Chosen {
        /// Path of the socket.
        path: PathBuf,
        /// Device and inode numbers of the socket.
        inode: Option<(u64, u64)>,
    },
    /// Owned by another program that keeps listening on it, such as systemd. The server never
    /// removes it.
    External {
        /// The lock that registers this server as running.
        running: Option<FileLock>,
    },
}

/// The listening socket of a server, which the server either received or created.
#[derive(Debug)]
pub struct ServerSocket {
    /// The listening socket.
    pub listener: Listener,
    /// The location of the socket.
    pub location: SocketLocation,
    /// The users whom the registration allows, if the server has one.
    pub policy: Option<Policy>,
}

impl ServerSocket {
    /// Creates the socket at a path that the program chose.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyRunning`] if the path exists.
    pub fn at(path: PathBuf) -> Result<Self> {
        let listener = Listener::bind(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                let text = format!(
                    "the socket {} can't be made: the path exists (a server listens there, or a \
                     killed server left its socket)",
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
        Ok(Self { listener, location: SocketLocation::Chosen { path, inode }, policy: None })
    }

    /// Listens on a socket that was passed to the program.
    ///
    /// # Errors
    /// The handle is not a socket that a server can listen on.
    pub fn on(socket: OwnedHandle) -> Result<Self> {
        let listener = Listener::adopt(socket)?;
        Ok(Self { listener, location: SocketLocation::External { running: None }, policy: None })
    }

    /// Takes the socket that was passed by the `LISTEN_FDS` protocol. If there is none, creates the
    /// socket at the path in the runtime folder that clients expect.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyRunning`], and the errors of finding the registration.
    pub fn take(classes: &[Guid]) -> Result<Self> {
        let Some(socket) = take_listener()? else { return Self::make(classes) };
        let listener = Listener::adopt(socket).map_err(|error| {
            let text = "the socket that this server was given can't be used";
            Error::new(ErrorKind::System, text).because(error)
        })?;
        let told = match is_elevated() {
            // A program with more privileges than its caller does not trust these variables.
            true => None,
            false => told_by_client(&listener, std::env::var_os(SOCKET), std::env::var(USERS).ok()),
        };
        if let Some((paths, policy)) = told {
            return Ok(Self {
                listener,
                location: SocketLocation::runtime(paths),
                policy: Some(policy),
            });
        }
        let registry = Registry::from_environment();
        let file = std::env::var_os(REGISTRATION).and_then(|path| read(&PathBuf::from(path)));
        let file = file.or_else(|| classes.first().and_then(|clsid| registry.find(*clsid).ok()));
        let policy = file.as_ref().map(|file| file.registration.policy.clone());
        let given = std::env::var_os(SOCKET).map(PathBuf::from);
        let paths = file.as_ref().and_then(|file| RuntimePaths::of(file, &registry).ok());
        let location = match paths {
            Some(paths) if Some(&paths.socket) == given.as_ref() => SocketLocation::runtime(paths),
            _ => {
                let servers = file.and_then(|file| RunningServers::of(&file, &registry).ok());
                SocketLocation::External { running: servers.and_then(|servers| servers.mark()) }
            }
        };
        Ok(Self { listener, location, policy })
    }

    /// Creates the socket for a server that was started manually.
    fn make(classes: &[Guid]) -> Result<Self> {
        let Some(clsid) = classes.first() else {
            return Err(Error::new(ErrorKind::NoSuchClass, "this server has no class"));
        };
        let registry = Registry::from_environment();
        let file = registry.find(*clsid)?;
        if file.registration.socket.is_some() {
            let text =
                "another program listens for this server, and starts it when a client connects";
            return Err(Error::new(ErrorKind::AlreadyRunning, text));
        }
        let paths = RuntimePaths::of(&file, &registry)?;
        check_wrapper(&paths)?;
        let _lock = wait_for_lock(&paths)?;
        let soon = Instant::now() + LOCK_TIME;
        if Seqpacket::connect(&paths.socket, soon).is_ok() {
            let text = format!("another server serves at {}", paths.socket.display());
            return Err(Error::new(ErrorKind::AlreadyRunning, text));
        }
        let _ = fs::remove_file(&paths.socket);
        // Removes the start note of an earlier program that never took over its socket.
        paths.has_started();
        let listener = Listener::bind(&paths.socket).map_err(|error| {
            let text = format!("the socket {} can't be made", paths.socket.display());
            Error::new(ErrorKind::System, text).because(error)
        })?;
        let policy = Some(file.registration.policy);
        Ok(Self { listener, location: SocketLocation::runtime(paths), policy })
    }

    /// Returns the environment variables that tell a server its socket, its registration and the
    /// users who may connect. A client sets them when it starts the server.
    pub fn environment(file: &RegistrationFile, paths: &RuntimePaths) -> [(OsString, OsString); 3] {
        [
            (USERS.into(), file.registration.policy.to_word().into()),
            (REGISTRATION.into(), file.path.clone().into()),
            (SOCKET.into(), paths.socket.clone().into()),
        ]
    }
}

/// Returns the runtime paths and the policy that the starting client passed in the environment.
/// Reading the registration again here would delay the client, which has just read it. Trusting
/// these variables is safe: a process that could forge them could also set other variables that
/// select another registration.
fn told_by_client(
    listener: &Listener,
    socket: Option<OsString>,
    users: Option<String>,
) -> Option<(RuntimePaths, Policy)> {
    let policy = Policy::from_word(&users?)?;
    let socket = PathBuf::from(socket?);
    // Programs that a server starts inherit these variables, but have another socket or none.
    let is_it = listener.path().ok()?? == socket;
    let paths = is_it.then(|| RuntimePaths::at(socket).ok())??;
    Some((paths, policy))
}

impl SocketLocation {
    fn runtime(paths: RuntimePaths) -> Self {
        let inode = inode(&paths.socket);
        // The server now accepts clients, so the start note is obsolete.
        paths.has_started();
        let running = paths.mark_running();
        Self::Runtime { paths, inode, running }
    }

    /// Takes the lock without waiting. If another process holds it, that process is about to start
    /// a server, or to connect to this one.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if another process holds the lock, and the errors of the file.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        match self {
            Self::External { .. } | Self::Chosen { .. } => Ok(None),
            Self::Runtime { paths, .. } => match paths.try_lock() {
                Ok(Some(lock)) => Ok(Some(lock)),
                Ok(None) => Err(Error::new(ErrorKind::Busy, "another process holds the lock")),
                // The folder no longer exists, for example because the user's session ended. So no
                // client can connect any more.
                Err(_) if inode(&paths.socket).is_none() => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Returns whether the socket belongs to this server, and not to another program that keeps
    /// listening on it.
    pub fn is_ours(&self) -> bool {
        !matches!(self, Self::External { .. })
    }

    /// Removes the socket of a server that will not serve. Does nothing if a client holds the lock.
    pub fn give_up(&self) {
        if let Ok(_lock) = self.try_lock() {
            self.remove();
        }
    }

    /// Removes the socket unless another program owns it. The caller must hold the lock.
    pub fn remove(&self) {
        let (path, own) = match self {
            Self::Runtime { paths, inode, .. } => (&paths.socket, inode),
            Self::Chosen { path, inode } => (path, inode),
            Self::External { .. } => return,
        };
        if own.is_some() && inode(path) == *own {
            // In the runtime folder, the lock excludes other servers. At a chosen path, another
            // server can't have replaced the socket, because a server never replaces an existing
            // socket.
            let _ = fs::remove_file(path);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Reads the registration in a file. Returns `None` if that fails.
fn read(path: &Path) -> Option<RegistrationFile> {
    let text = fs::read_to_string(path).ok()?;
    let name = path.file_stem()?.to_string_lossy();
    let registration = Registration::parse(&name, &text).ok()?;
    Some(RegistrationFile { registration, path: path.to_owned() })
}

/// Checks that the socket was not passed to a wrapper of this program, such as a shell script that
/// runs the program as a child process instead of executing it in its place.
fn check_wrapper(paths: &RuntimePaths) -> Result<()> {
    let given = std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse::<u32>().ok());
    let socket = std::env::var_os(SOCKET).map(PathBuf::from);
    let own = std::process::id();
    match given {
        Some(pid) if pid != own && socket.as_ref() == Some(&paths.socket) => {
            let text = format!(
                "the socket was passed to process {pid}, and this server is process {own}: the program \
                 that is registered must replace itself with the server (in a shell script: `exec`)"
            );
            Err(Error::new(ErrorKind::StartFailed, text))
        }
        _ => Ok(()),
    }
}

fn wait_for_lock(paths: &RuntimePaths) -> Result<Lock> {
    let deadline = Instant::now() + LOCK_TIME;
    loop {
        if let Some(lock) = paths.try_lock()? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            let text = format!(
                "timed out waiting for {}: another process has held it for {LOCK_TIME:?}",
                paths.lock.display()
            );
            return Err(Error::new(ErrorKind::AlreadyRunning, text));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Environment variable with the users whom the registration of a server allows.
const USERS: &str = "SYSHANDLE_USERS";

/// Environment variable with the path of a server's registration file.
const REGISTRATION: &str = "SYSHANDLE_REGISTRATION";

/// Environment variable with the path of a server's socket.
const SOCKET: &str = "SYSHANDLE_SOCKET";

/// Maximum time to wait for the lock. Its holder is starting a server, which takes milliseconds.
const LOCK_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_passed_socket_is_trusted_only_in_the_users_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("run/syshandle");
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&place).unwrap();
        let socket = place.join("server-0.sock");
        let listener = Listener::bind(&socket).unwrap();
        let told = |socket: &Path, users: &str| {
            told_by_client(&listener, Some(socket.into()), Some(users.into()))
        };
        let (paths, policy) = told(&socket, "7,1000").unwrap();
        assert_eq!(paths.socket, socket);
        assert_eq!(paths.lock, place.join("server-0.lock"));
        assert_eq!(policy, Policy::users([7, 1000]));
        assert!(told(&socket, "everybody").is_none());
        assert!(told(&place.join("other-0.sock"), "7").is_none());
        assert!(told_by_client(&listener, Some(socket.clone().into()), None).is_none());
        assert!(told_by_client(&listener, None, Some("7".into())).is_none());
        fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
        assert!(told(&socket, "7").is_none());
    }
}
