//! Connecting to a server, and telling one that is slow from one that hangs.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use syshandle_os::{Peer, Seqpacket, Unconnected, uptime};
use syshandle_wire::Hello;

use super::known::Known;
use super::runtime::Meeting;
use crate::client::connection::Connection;
use crate::client::opening::Opening;
use crate::peer_socket::PeerSocket;
use crate::{Error, ErrorKind, Result};

/// What came of trying to connect.
pub(super) enum Connected {
    /// The server serves this client.
    Greeted(Box<Connection>),
    /// Nobody serves there now, as this error shows.
    Nobody(Error),
    /// The program at the other end was started so long ago that it will never greet.
    Hangs(PeerSocket),
}

/// Waits until the server of a registration greets, at the other end of this connection.
///
/// `has_ended` tells whether the process that should greet has ended: a child that it forked may keep
/// its socket open, and then connections wait in a queue that nobody serves.
pub(super) fn open(
    socket: Seqpacket,
    meeting: &Meeting,
    hello: Hello,
    start_timeout: Duration,
    deadline: Instant,
    has_ended: impl Fn(&Seqpacket) -> bool,
) -> Result<Connected> {
    let mut look = Instant::now() + FIRST_LOOK;
    let mut opening = Opening::new(socket, hello);
    loop {
        match opening.wait(look.min(deadline)) {
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
                meeting.socket.display()
            );
            return Ok(Connected::Nobody(Error::new(ErrorKind::Disconnected, text)));
        }
        let next = Instant::now() + NEXT_LOOK;
        // Without a note the server has taken its socket, and is only slow.
        look = match meeting.starting_since() {
            None => next,
            Some(since) => match start_timeout.checked_sub(uptime().saturating_sub(since)) {
                None => return Ok(Connected::Hangs(opening.into_socket())),
                Some(left) => next.min(Instant::now() + left + Duration::from_millis(1)),
            },
        };
    }
    greeted(opening.finish(deadline))
}

/// Connects to the server that runs, if the kernel says that it is this user's. Trusts no file: not
/// the registration, and not the place of the socket.
///
/// # Errors
/// Nobody serves there, or somebody else.
pub(super) fn reach(
    known: &Known,
    meeting: &Meeting,
    hello: Hello,
    deadline: Instant,
) -> Result<Connection> {
    let socket = connect(&mut None, &meeting.socket, deadline)??;
    let start_timeout = known.registered.registration.start_timeout;
    match open(socket, meeting, hello, start_timeout, deadline, Peer::peer_has_ended)? {
        Connected::Greeted(connection) => {
            let user = connection.server().uid;
            if user == known.user {
                return Ok(*connection);
            }
            let text =
                format!("{} is served by {user}, not by this user", meeting.socket.display());
            Err(Error::new(ErrorKind::Insecure, text))
        }
        Connected::Nobody(error) => Err(error),
        Connected::Hangs(_) => Err(did_not_greet()),
    }
}

/// Connects to the server at a socket that others may have named: it must be this user's or root's.
///
/// # Errors
/// Those of [`connect_elsewhere`]; [`ErrorKind::Insecure`].
pub(super) fn reach_elsewhere(
    known: &Known,
    path: &Path,
    hello: Hello,
    deadline: Instant,
) -> Result<Connection> {
    let connection = connect_elsewhere(path, hello, deadline)?;
    let user = connection.server().uid;
    if user == known.user || user == 0 {
        return Ok(connection);
    }
    let text = format!("{} is served by {user}, not by this user or root", path.display());
    Err(Error::new(ErrorKind::Insecure, text))
}

/// Connects to the server at a socket that somebody else looks after.
pub(super) fn connect_elsewhere(
    path: &Path,
    hello: Hello,
    deadline: Instant,
) -> Result<Connection> {
    let mut pause = Duration::from_millis(1);
    loop {
        let nobody = match connect(&mut None, path, deadline)? {
            Ok(socket) => match greeted(Opening::new(socket, hello).open(deadline))? {
                Connected::Greeted(connection) => return Ok(*connection),
                // It ended, and nothing was sent: who listens starts another one.
                Connected::Nobody(error) if Instant::now() < deadline => {
                    crate::log::debug!(%error, "trying again");
                    std::thread::sleep(
                        pause.min(deadline.saturating_duration_since(Instant::now())),
                    );
                    pause = (pause * 2).min(Duration::from_millis(100));
                    continue;
                }
                Connected::Nobody(error) => error,
                Connected::Hangs(_) => did_not_greet(),
            },
            Err(nobody) => nobody,
        };
        let text = format!(
            "nobody serves at {}, and this client doesn't start the server: whoever made the \
             registration does. For systemd, `systemctl --user status` of its socket and service units \
             says why not, `journalctl --user` how the server ended, and `systemctl --user start` \
             of the socket unit makes it listen; units of the system need no `--user`",
            path.display()
        );
        return Err(Error::new(ErrorKind::StartFailed, text).because(nobody));
    }
}

/// Connects; the inner error means that nobody listens there, and leaves the socket to try again.
pub(crate) fn connect(
    unconnected: &mut Option<Unconnected>,
    path: &Path,
    deadline: Instant,
) -> Result<Result<Seqpacket, Error>> {
    let connected = match unconnected.take().map_or_else(Unconnected::new, Ok) {
        Ok(socket) => socket.connect(path, deadline).map_err(|(socket, error)| {
            *unconnected = Some(socket);
            error
        }),
        Err(error) => Err(error),
    };
    let error = match connected {
        Ok(socket) => return Ok(Ok(socket)),
        Err(error) => error,
    };
    let (kind, text) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            let text = format!("nobody listens at {}", path.display());
            return Ok(Err(Error::new(ErrorKind::Disconnected, text).because(error)));
        }
        io::ErrorKind::PermissionDenied => (
            ErrorKind::ActivationDenied,
            format!("this process may not connect to the server at {}", path.display()),
        ),
        io::ErrorKind::TimedOut => {
            (ErrorKind::TimedOut, "the server doesn't let clients in: its queue is full".to_owned())
        }
        _ => (ErrorKind::System, format!("{} can't be connected to", path.display())),
    };
    Err(Error::new(kind, text).because(error))
}

/// A server that goes before it has greeted serves nobody.
fn greeted(opened: Result<Connection>) -> Result<Connected> {
    match opened {
        Ok(connection) => Ok(Connected::Greeted(Box::new(connection))),
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(Connected::Nobody(error)),
        Err(error) => Err(error),
    }
}

fn did_not_greet() -> Error {
    Error::new(ErrorKind::TimedOut, "the server did not greet in time")
}

/// Most servers have greeted by then, and nobody needs to know when they were started.
const FIRST_LOOK: Duration = Duration::from_millis(200);

/// How often a client that waits looks whether the server still lives.
const NEXT_LOOK: Duration = Duration::from_millis(500);
