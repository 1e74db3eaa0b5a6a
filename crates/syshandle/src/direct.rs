//! Connections without a registration: between a process and its child, or through a socket whose
//! path both sides know.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use syshandle_os::{OwnedHandle, ProofFailure, Seqpacket, prove};
use syshandle_types::Guid;
use syshandle_wire::Hello;

use crate::activation::linux::connect;
use crate::class::{Implements, Interface, Proxy};
use crate::client::Client;
use crate::client::linux::connection::ClientConnection;
use crate::client::linux::deadline::Deadline;
use crate::client::linux::handshake::{ClientHandshake, hello};
use crate::door::DoorMaker;
use crate::server::linux::served_object::ServedObject;
use crate::setup::failed;
use crate::untyped_object::Object;
use crate::wait_mode::{WaitMode, run_on_thread};
use crate::{Error, ErrorKind, Result, door};

/// Prepares this process to receive handles after it is confined by seccomp, Landlock, `chroot` or
/// a mount namespace without `/proc`.
///
/// The first connection of a process prepares it too, but reports no error if the preparation
/// fails. The preparation keeps three descriptors open. A forked copy of the process must call this
/// function itself. After the call, the user and the group 65534 count as unknown, because a user
/// namespace shows every unmapped user and group as 65534.
///
/// A client of a process that called this function starts no thread. Therefore it closes unwanted
/// handles of a result itself instead of in the background, and a server can delay the client by a
/// handle whose close blocks. A process that serves objects starts threads as usual.
///
/// # Errors
/// [`ErrorKind::System`] with the reason: no `/proc`, or no descriptors left.
pub fn prepare() -> Result<()> {
    syshandle_os::prepare().map_err(|error| {
        let text = "this process can't be prepared to examine handles in a sandbox";
        Error::detected(ErrorKind::System, text).because(error)
    })
}

/// Connects to the server that listens at a path. No registration is read, and no server is
/// started.
///
/// The interface may belong to any class that the server serves. The caller has to decide whether
/// the server is the intended one, because any process that may write to the folder can listen
/// there. [`Client::server`] returns the server's credentials, as the kernel reports them.
///
/// # Errors
/// [`ErrorKind::Disconnected`] if no process listens there, [`ErrorKind::NoSuchInterface`],
/// [`ErrorKind::TimedOut`] after [`Client::TIMEOUT`] (see [`Connector::timeout`]), and the errors
/// of connecting.
pub fn connect<P: Proxy>(path: impl AsRef<Path>) -> Result<P> {
    Connector::new().connect(path)
}

/// Makes a client over a socket that is one end of a connection: an end of a [`socket_pair`], or a
/// socket that another process connected. Takes ownership of the socket.
///
/// # Errors
/// [`ErrorKind::WrongHandle`] if it is no such socket or a door, [`ErrorKind::NoSuchInterface`],
/// [`ErrorKind::TimedOut`] if no server greets within [`Client::TIMEOUT`] (see
/// [`Connector::timeout`]), and the errors of connecting.
pub fn from_socket<P: Proxy>(socket: impl Into<OwnedHandle>) -> Result<P> {
    Connector::new().from_socket(socket)
}

/// Connects through a door that [`make_door`] made in another process. Takes ownership of the door.
///
/// # Errors
/// [`ErrorKind::WrongHandle`] if it is no such socket or one end of a connection,
/// [`ErrorKind::Disconnected`] if the object no longer exists, [`ErrorKind::NoSuchInterface`],
/// [`ErrorKind::TimedOut`] after [`Client::TIMEOUT`] (see [`Connector::timeout`]), and the errors
/// of connecting.
pub fn from_door<P: Proxy>(door: impl Into<OwnedHandle>) -> Result<P> {
    Connector::new().from_door(door)
}

/// Connects like [`connect`], [`from_socket`] and [`from_door`], with another timeout, or with the
/// feature `tokio` in a task.
///
/// For example, a broker with one thread can limit the time that it waits for a silent worker:
///
/// ```no_run
/// # use std::time::{Duration, Instant};
/// # use syshandle::{Result, interface, direct::Connector, handle::OwnedHandle};
/// # #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec79")]
/// # trait Files { fn count(&self) -> Result<u64>; }
/// # fn broker(socket: OwnedHandle) -> Result<()> {
/// let files: FilesClient =
///     Connector::new().timeout(Duration::from_millis(500)).from_socket(socket)?;
/// # drop(files);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    timeout: Duration,
}

impl Connector {
    /// Makes a connector with the default timeout, [`Client::TIMEOUT`].
    pub fn new() -> Self {
        Self { timeout: Client::TIMEOUT }
    }

    /// Sets the timeout of connecting. [`Client::with_timeout`] sets the timeout of calls.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects as [`connect`] does.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and the errors of [`connect`].
    pub fn connect<P: Proxy>(&self, path: impl AsRef<Path>) -> Result<P> {
        run_on_thread(self.connect_by(WaitMode::Thread, path.as_ref()))
    }

    /// Makes a client over one end of a connection, as [`from_socket`] does.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], and the errors of [`from_socket`].
    pub fn from_socket<P: Proxy>(&self, socket: impl Into<OwnedHandle>) -> Result<P> {
        let socket = connected_end(socket.into())?;
        run_on_thread(open(WaitMode::Thread, socket, self.deadline()))
    }

    /// Connects through a door as [`from_door`] does.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], [`ErrorKind::WrongHandle`] also if the socket is one end of a
    /// connection, and the errors of [`from_door`].
    pub fn from_door<P: Proxy>(&self, door: impl Into<OwnedHandle>) -> Result<P> {
        let client = behind_door::<P>(door.into())?;
        client.with_timeout(self.timeout).server()?;
        Ok(P::from_client(client))
    }

    async fn connect_by<P: Proxy>(&self, mode: WaitMode, path: &Path) -> Result<P> {
        let deadline = self.deadline();
        let socket = connect::connect(mode, &mut None, path, deadline).await??;
        open(mode, socket, deadline).await
    }

    fn deadline(&self) -> Instant {
        Deadline::lasting(self.timeout, None).instant
    }
}

/// The same in a task of a tokio runtime, which blocks no thread. `FooAsyncClient::from` makes an
/// asynchronous client of the result.
#[cfg(feature = "tokio")]
impl Connector {
    /// Connects in a task, as [`connect`](Self::connect) does in a thread.
    ///
    /// # Errors
    /// The errors of [`connect`](Self::connect).
    pub async fn connect_async<P: Proxy>(&self, path: impl AsRef<Path>) -> Result<P> {
        self.connect_by(WaitMode::Task, path.as_ref()).await
    }

    /// Makes a client in a task, as [`from_socket`](Self::from_socket) does in a thread.
    ///
    /// # Errors
    /// The errors of [`from_socket`](Self::from_socket).
    pub async fn from_socket_async<P: Proxy>(&self, socket: impl Into<OwnedHandle>) -> Result<P> {
        let socket = connected_end(socket.into())?;
        open(WaitMode::Task, socket, self.deadline()).await
    }

    /// Connects in a task, as [`from_door`](Self::from_door) does in a thread.
    ///
    /// # Errors
    /// The errors of [`from_door`](Self::from_door).
    pub async fn from_door_async<P: Proxy>(&self, door: impl Into<OwnedHandle>) -> Result<P> {
        let client = behind_door::<P>(door.into())?;
        client.connect_in_task(self.deadline()).await?;
        Ok(P::from_client(client))
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

/// Serves an object from this process, and returns a door to it. The door can be passed to another
/// process, such as a child that is started next.
///
/// A process that holds the door can make any number of connections with [`from_door`], each with a
/// copy of the door ([`try_clone`](std::os::fd::OwnedFd::try_clone)). All copies refer to one
/// socket, and each holder can shut it down for all holders. Therefore processes that don't trust
/// each other need separate doors. The kernel names the process that makes each connection
/// ([`Context::client`](crate::Context::client)). Threads of this process serve the object until
/// the last copy of the door and the last connection are closed. Each process that connects has a
/// quota.
///
/// The door is close-on-exec. In this example, a child gets it as its standard input:
///
/// ```no_run
/// # use std::process::{Command, Stdio};
/// # use syshandle::{interface, Result};
/// # #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec79")]
/// # trait Files { fn count(&self) -> Result<u64>; }
/// # struct Broker;
/// # impl Files for Broker { fn count(&self) -> Result<u64> { Ok(0) } }
/// # fn broker() -> Result<()> {
/// let door = syshandle::direct::make_door::<dyn Files, _>(Broker)?;
/// let child = Command::new("worker").stdin(Stdio::from(door)).spawn()?;
/// # drop(child);
/// # Ok(())
/// # }
/// # fn worker() -> Result<()> {
/// // In the child:
/// use std::os::fd::AsFd;
/// let files: FilesClient = syshandle::direct::from_door(std::io::stdin().as_fd().try_clone_to_owned()?)?;
/// # drop(files);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// No descriptor, or no thread, left.
pub fn make_door<I, T>(implementation: T) -> Result<OwnedHandle>
where
    I: Interface + Implements<T> + ?Sized,
{
    let object = Object::new().with::<I, T>(&std::sync::Arc::new(implementation));
    // The door keeps the object alive.
    ServedObject::without_server(object)?.make_door().map_err(|error| {
        Error::detected(ErrorKind::System, "no door to the object can be made").because(error)
    })
}

/// Creates a pair of connected sockets, one of which is usually passed to a child process. The
/// server passes its end to [`Server::socket`](crate::Server::socket), and the client passes its
/// end to [`from_socket`]. The caller of this function owns both sockets.
///
/// The kernel reports the sender of each message on both ends, so [`Client::server`] returns the
/// serving process. The server sees the process that made the pair as its client.
///
/// # Errors
/// No descriptor left.
pub fn socket_pair() -> Result<(OwnedHandle, OwnedHandle)> {
    let (one, other) = pair()?;
    // The kernel reports the sender only for messages that are sent after this call.
    one.name_senders()?;
    other.name_senders()?;
    Ok((one.into(), other.into()))
}

/// Makes a socket pair.
fn pair() -> Result<(Seqpacket, Seqpacket)> {
    Seqpacket::pair().map_err(failed("socketpair", "no socket pair can be made"))
}

/// Makes a client that connects through a door when it is first used.
fn behind_door<P: Proxy>(door: OwnedHandle) -> Result<Client> {
    let door = adopt(door)?;
    Ok(Client::from_door(door::hold_copy(door.into()), P::Interface::DESCRIPTION))
}

/// Waits for the greeting of the server at the other end.
async fn open<P: Proxy>(mode: WaitMode, socket: Seqpacket, deadline: Instant) -> Result<P> {
    let interface = P::Interface::DESCRIPTION;
    let connection = greet(mode, socket, hello(Guid::NIL, interface), deadline).await?;
    Ok(P::from_client(Client::connected(connection, interface)))
}

async fn greet(
    mode: WaitMode,
    socket: Seqpacket,
    hello: Hello,
    deadline: Instant,
) -> Result<ClientConnection> {
    ClientHandshake::to_any_class(socket, hello).open(mode, deadline).await
}

/// Connects to the server that listens at a path, with this hello.
pub(crate) fn connect_with(
    path: &Path,
    hello: Hello,
    timeout: Duration,
) -> Result<ClientConnection> {
    let deadline = Deadline::lasting(timeout, None).instant;
    run_on_thread(async {
        let socket = connect::connect(WaitMode::Thread, &mut None, path, deadline).await??;
        greet(WaitMode::Thread, socket, hello, deadline).await
    })
}

/// Opens a connection over a socket, with this hello.
pub(crate) fn open_with(
    socket: OwnedHandle,
    hello: Hello,
    timeout: Duration,
) -> Result<ClientConnection> {
    let (mode, socket) = (WaitMode::Thread, connected_end(socket)?);
    run_on_thread(greet(mode, socket, hello, Deadline::lasting(timeout, None).instant))
}

/// Takes ownership of one end of a connection.
fn connected_end(socket: OwnedHandle) -> Result<Seqpacket> {
    let socket = adopt(socket)?;
    if socket.can_only_send() {
        let text = "the socket is a door, not one end of a connection: use `from_door`";
        return Err(Error::detected(ErrorKind::WrongHandle, text));
    }
    socket.name_senders()?;
    Ok(socket)
}

/// Takes ownership of a socket, if its family and type permit a connection.
pub(crate) fn adopt(socket: OwnedHandle) -> Result<Seqpacket> {
    check(&socket)?;
    Ok(Seqpacket::adopt(socket)?)
}

/// Checks that a handle is a socket of the family and type that servers, connections and doors use.
pub(crate) fn check(socket: &OwnedHandle) -> Result<()> {
    use std::os::fd::AsFd;

    match prove(socket.as_fd(), &door::DECLARATION) {
        Ok(_) => Ok(()),
        Err(ProofFailure::Mismatch(mismatch)) => {
            let text = format!("the handle can't be used for connections: {mismatch}");
            Err(Error::detected(ErrorKind::WrongHandle, text))
        }
        Err(ProofFailure::Failed(error)) => {
            Err(Error::detected(ErrorKind::Unproven, "the kind of the handle can't be determined")
                .because(io::Error::other(error)))
        }
    }
}
