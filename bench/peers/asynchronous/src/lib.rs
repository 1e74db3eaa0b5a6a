//! What the clients of all peers on tokio have in common.
//!
//! One connection is used on a runtime of one thread, which is the quicker one; many are used on
//! one of as many threads as there are cores.

mod client;
mod job;

use std::any::Any;
use std::fs::File;
use std::future::Future;
use std::os::fd::OwnedFd;

use bench_harness::{Result, Server, SocketType};

pub use client::{Client, check};
pub use job::decorate_when;

/// A peer on tokio.
pub trait Peer: Sized + 'static {
    /// A connection.
    type Connection: Send + 'static;

    /// Bytes, as it likes to have them.
    type Payload: Clone + Send + Sync;

    /// Whether it passes descriptors.
    const HANDLES: bool;

    /// Starts its server.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn start(name: &str) -> Result<Side> {
        Side::listening(name)
    }

    /// Whether its server can be started over and over.
    fn starts_cold() -> bool {
        true
    }

    /// Connects to its server.
    fn connect(address: &str) -> impl Future<Output = Result<Self::Connection>> + Send;

    /// The same connection, to be used by another task at the same time.
    fn share(connection: &Self::Connection) -> Option<Self::Connection>;

    /// So many null calls in flight at once, from one task; `false` where that isn't its way.
    fn flight(
        _connection: &mut Self::Connection,
        _calls: usize,
    ) -> impl Future<Output = Result<bool>> {
        async { Ok(false) }
    }

    /// The number, one more.
    fn null(
        connection: &mut Self::Connection,
        number: u64,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Bytes to be sent.
    fn payload(bytes: Vec<u8>) -> Self::Payload;

    /// The bytes; returns how many came back.
    fn echo(
        connection: &mut Self::Connection,
        payload: &Self::Payload,
    ) -> impl Future<Output = Result<usize>> + Send;

    /// The event; the file is closed.
    fn exchange(
        _connection: &mut Self::Connection,
        _file: &File,
        _event: &OwnedFd,
    ) -> impl Future<Output = Result<OwnedFd>> + Send {
        async { Err("it passes no descriptors".into()) }
    }

    /// Another event, set when the file was decorated after `ready` was.
    fn sparkle(
        _connection: &mut Self::Connection,
        _file: &File,
        _ready: &OwnedFd,
    ) -> impl Future<Output = Result<OwnedFd>> + Send {
        async { Err("it passes no descriptors".into()) }
    }
}

/// The other side: its processes, and where it is met. Ends with this value.
pub struct Side {
    /// Its processes.
    pub pids: Vec<u32>,
    /// Where to connect: a path, or what the peer calls an address.
    pub address: String,
    _guard: Box<dyn Any>,
}

impl Side {
    /// A side that ends when `guard` is dropped.
    pub fn new(pids: Vec<u32>, address: String, guard: impl Any) -> Self {
        Self { pids, address, _guard: Box::new(guard) }
    }

    /// A server that listens on a path.
    ///
    /// # Errors
    /// Those of starting it.
    pub fn listening(name: &str) -> Result<Self> {
        let server = Server::start(name, SocketType::STREAM)?;
        let address = server.path().to_string_lossy().into_owned();
        Ok(Self::new(vec![server.pid()], address, server))
    }
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("pids", &self.pids).finish_non_exhaustive()
    }
}

/// The listening socket of a server, as tokio has it.
///
/// # Errors
/// Those of sockets.
pub fn listener() -> Result<tokio::net::UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(bench_harness::listener()?);
    listener.set_nonblocking(true)?;
    Ok(tokio::net::UnixListener::from_std(listener)?)
}

/// A runtime with a thread for each core.
///
/// # Errors
/// No thread, or no descriptor, left.
pub fn many_threads() -> Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism()?.get();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(cores).enable_all().build()?)
}

/// A runtime of one thread.
///
/// # Errors
/// No descriptor left.
pub fn one_thread() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
