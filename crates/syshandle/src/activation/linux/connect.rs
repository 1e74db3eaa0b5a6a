//! Connects to a server, and distinguishes a slow server from one that hangs.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use syshandle_os::{Peer, Seqpacket, UnconnectedSocket, uptime};
use syshandle_registry::RuntimePaths;
use syshandle_wire::Hello;

use super::lookup::Lookup;
use crate::client::linux::connection::ClientConnection;
use crate::client::linux::handshake::ClientHandshake;
use crate::peer_socket::PeerSocket;
use crate::wait_mode::WaitMode;
use crate::{Error, ErrorKind, Result};

/// The outcome of an attempt to connect.
pub(super) enum ConnectOutcome {
    /// The server has greeted this client.
    Greeted(Box<ClientConnection>),
    /// No server serves the socket, as the error explains.
    Nobody(Error),
    /// The server's start timeout has passed without a greeting.
    Hangs(PeerSocket),
}

/// Waits for the greeting of a registration's server on a new connection.
///
/// `has_ended` returns whether the process that should greet has ended. A child that it forked may
/// keep the socket open; connections then wait in a queue that no process serves.
pub(super) async fn open(
    mode: WaitMode,
    socket: Seqpacket,
    paths: &RuntimePaths,
    hello: Hello,
    start_timeout: Duration,
    deadline: Instant,
    has_ended: impl Fn(&Seqpacket) -> bool,
) -> Result<ConnectOutcome> {
    let mut look = Instant::now() + FIRST_LOOK;
    let mut opening = ClientHandshake::new(socket, hello);
    loop {
        match opening.wait(mode, look.min(deadline)).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => return greeted(Err(error)),
        }
        if Instant::now() >= deadline {
            return Err(did_not_greet());
        }
        if has_ended(opening.socket()) {
            let text = format!(
                "the server at {} has ended, and a child of it keeps the socket",
                paths.socket.display()
            );
            return Ok(ConnectOutcome::Nobody(Error::detected(ErrorKind::Disconnected, text)));
        }
        let next = Instant::now() + NEXT_LOOK;
        // Without a note the server has already taken its socket, so it is only slow.
        look = match paths.starting_since() {
            None => next,
            Some(since) => match start_timeout.checked_sub(uptime().saturating_sub(since)) {
                None => return Ok(ConnectOutcome::Hangs(opening.into_socket())),
                Some(left) => next.min(Instant::now() + left + Duration::from_millis(1)),
            },
        };
    }
    greeted(opening.finish(deadline))
}

/// Connects to the running server if the kernel confirms that this user runs it. Trusts neither the
/// registration nor the location of the socket.
///
/// # Errors
/// No server serves the socket, or another user runs the server.
pub(super) async fn reach(
    mode: WaitMode,
    lookup: &Lookup,
    paths: &RuntimePaths,
    hello: Hello,
    deadline: Instant,
) -> Result<ClientConnection> {
    let socket = connect(mode, &mut None, &paths.socket, deadline).await??;
    let start_timeout = lookup.file.registration.start_timeout;
    let has_ended = Peer::peer_has_ended;
    match open(mode, socket, paths, hello, start_timeout, deadline, has_ended).await? {
        ConnectOutcome::Greeted(connection) => {
            let user = connection.server().uid;
            if user == lookup.user {
                return Ok(*connection);
            }
            let text = format!("{} is served by {user}, not by this user", paths.socket.display());
            Err(Error::detected(ErrorKind::Insecure, text))
        }
        ConnectOutcome::Nobody(error) => Err(error),
        ConnectOutcome::Hangs(_) => Err(did_not_greet()),
    }
}

/// Connects to the server at a socket path that other users may have written. The server's user
/// must be this user or root.
///
/// # Errors
/// The errors of [`connect_elsewhere`]; [`ErrorKind::Insecure`].
pub(super) async fn reach_elsewhere(
    mode: WaitMode,
    lookup: &Lookup,
    path: &Path,
    hello: Hello,
    deadline: Instant,
) -> Result<ClientConnection> {
    let connection = connect_elsewhere(mode, path, hello, deadline).await?;
    let user = connection.server().uid;
    if user == lookup.user || user == 0 {
        return Ok(connection);
    }
    let text = format!("{} is served by {user}, not by this user or root", path.display());
    Err(Error::detected(ErrorKind::Insecure, text))
}

/// Connects to the server at a socket that another program manages, such as systemd.
pub(super) async fn connect_elsewhere(
    mode: WaitMode,
    path: &Path,
    hello: Hello,
    deadline: Instant,
) -> Result<ClientConnection> {
    let mut pause = Duration::from_millis(1);
    loop {
        let nobody = match connect(mode, &mut None, path, deadline).await? {
            Ok(socket) => {
                match greeted(ClientHandshake::new(socket, hello).open(mode, deadline).await)? {
                    ConnectOutcome::Greeted(connection) => return Ok(*connection),
                    // The server ended before any call was sent. The program that manages the socket
                    // starts another one.
                    ConnectOutcome::Nobody(error) if Instant::now() < deadline => {
                        crate::log::debug!(%error, "an activation connects again");
                        let left = deadline.saturating_duration_since(Instant::now());
                        mode.pause(pause.min(left)).await;
                        pause = (pause * 2).min(Duration::from_millis(100));
                        continue;
                    }
                    ConnectOutcome::Nobody(error) => error,
                    ConnectOutcome::Hangs(_) => did_not_greet(),
                }
            }
            Err(nobody) => nobody,
        };
        // `syshandle register --system --systemd` puts sockets into this folder.
        let user = if path.starts_with("/run/syshandle") { "" } else { " --user" };
        let text = format!(
            "no server listens at {}: its registration leaves the start to another program (with \
             systemd, `systemctl{user} status` and `journalctl{user}` of its units tell why, and \
             `systemctl{user} start` of its socket unit makes it listen)",
            path.display()
        );
        return Err(Error::detected(ErrorKind::StartFailed, text).because(nobody));
    }
}

/// Connects to a path. The inner error means that no process listens there; `unconnected` then
/// keeps the socket for the next attempt.
pub(crate) async fn connect(
    mode: WaitMode,
    unconnected: &mut Option<UnconnectedSocket>,
    path: &Path,
    deadline: Instant,
) -> Result<Result<Seqpacket, Error>> {
    let mut pause = UnconnectedSocket::FIRST_PAUSE;
    let error = loop {
        let socket = match unconnected.take().map_or_else(UnconnectedSocket::new, Ok) {
            Ok(socket) => socket,
            Err(error) => break error,
        };
        let error = match socket.try_connect(path) {
            Ok(socket) => return Ok(Ok(socket)),
            Err((socket, error)) => {
                *unconnected = Some(socket);
                error
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if error.kind() != io::ErrorKind::WouldBlock || left.is_zero() {
            break error;
        }
        mode.pause(pause.min(left)).await;
        pause = UnconnectedSocket::next_pause(pause);
    };
    let (kind, text) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            let text = format!("no server listens at {}", path.display());
            return Ok(Err(Error::detected(ErrorKind::Disconnected, text).because(error)));
        }
        io::ErrorKind::PermissionDenied => (
            ErrorKind::ActivationDenied,
            format!("can't connect to {}: this process has no permission", path.display()),
        ),
        io::ErrorKind::WouldBlock => (
            ErrorKind::TimedOut,
            "timed out connecting to the server: its queue of clients is full".to_owned(),
        ),
        _ => (ErrorKind::System, format!("can't connect to {}", path.display())),
    };
    Err(Error::detected(kind, text).because(error))
}

/// Treats a server that closes the connection before its greeting like a missing server.
fn greeted(opened: Result<ClientConnection>) -> Result<ConnectOutcome> {
    match opened {
        Ok(connection) => Ok(ConnectOutcome::Greeted(Box::new(connection))),
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(ConnectOutcome::Nobody(error)),
        Err(error) => Err(error),
    }
}

fn did_not_greet() -> Error {
    Error::detected(ErrorKind::TimedOut, "timed out waiting for the greeting of the server")
}

/// Time until the first check of the server. Most servers have greeted by then, so most clients
/// never read the start time.
const FIRST_LOOK: Duration = Duration::from_millis(200);

/// Interval of further checks whether the server process still exists.
const NEXT_LOOK: Duration = Duration::from_millis(500);
