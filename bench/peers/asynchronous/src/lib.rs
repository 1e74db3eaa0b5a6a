//! The code that the clients of all peers on tokio share.
//!
//! A single connection runs on a runtime with one thread, because that is faster. Several
//! connections run on a runtime with one thread per core.

mod background_task;
mod client;

use std::any::Any;
use std::fs::File;
use std::future::Future;
use std::os::fd::OwnedFd;

use bench_harness::{Result, Server, SocketType};

pub use background_task::decorate_when;
pub use client::{Client, check};

/// A peer on tokio.
pub trait Peer: Sized + 'static {
    /// The type of a connection.
    type Connection: Send + 'static;

    /// The type of bytes that the peer passes most efficiently.
    type Payload: Clone + Send + Sync;

    /// Whether the peer passes descriptors.
    const HANDLES: bool;

    /// Starts the peer's server.
    ///
    /// # Errors
    /// Any failure of the peer.
    fn start(name: &str) -> Result<Side> {
        Side::listening(name)
    }

    /// Returns whether the server can be started repeatedly.
    fn starts_cold() -> bool {
        true
    }

    /// Connects to the peer's server.
    fn connect(address: &str) -> impl Future<Output = Result<Self::Connection>> + Send;

    /// Returns another reference to the same connection, for concurrent use by another task.
    fn share(connection: &Self::Connection) -> Option<Self::Connection>;

    /// Makes `calls` null calls in flight at once, from one task. Returns `false` if the peer
    /// doesn't support it.
    fn flight(
        _connection: &mut Self::Connection,
        _calls: usize,
    ) -> impl Future<Output = Result<bool>> {
        async { Ok(false) }
    }

    /// Calls with a number. Returns its successor.
    fn null(
        connection: &mut Self::Connection,
        number: u64,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Converts bytes for sending.
    fn payload(bytes: Vec<u8>) -> Self::Payload;

    /// Sends bytes, and returns the number of returned bytes.
    fn echo(
        connection: &mut Self::Connection,
        payload: &Self::Payload,
    ) -> impl Future<Output = Result<usize>> + Send;

    /// Passes a file, which the server closes, and an event, which the server returns.
    fn exchange(
        _connection: &mut Self::Connection,
        _file: &File,
        _event: &OwnedFd,
    ) -> impl Future<Output = Result<OwnedFd>> + Send {
        async { Err("it passes no descriptors".into()) }
    }

    /// Returns another event, which is set after `ready` was set and the file was written.
    fn sparkle(
        _connection: &mut Self::Connection,
        _file: &File,
        _ready: &OwnedFd,
    ) -> impl Future<Output = Result<OwnedFd>> + Send {
        async { Err("it passes no descriptors".into()) }
    }
}

/// The other side: its processes and its address. Dropping this value ends it.
pub struct Side {
    /// Ids of its processes.
    pub pids: Vec<u32>,
    /// The address for connections: a path, or an address in the peer's own form.
    pub address: String,
    _guard: Box<dyn Any>,
}

impl Side {
    /// Creates a side that ends when `guard` is dropped.
    pub fn new(pids: Vec<u32>, address: String, guard: impl Any) -> Self {
        Self { pids, address, _guard: Box::new(guard) }
    }

    /// Starts a server that listens on a path.
    ///
    /// # Errors
    /// The errors of starting the server.
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

/// Returns the listening socket of a server as a tokio type.
///
/// # Errors
/// The errors of sockets.
pub fn listener() -> Result<tokio::net::UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(bench_harness::listener()?);
    listener.set_nonblocking(true)?;
    Ok(tokio::net::UnixListener::from_std(listener)?)
}

/// Creates a runtime with one thread per core.
///
/// # Errors
/// No thread or descriptor is available.
pub fn many_threads() -> Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism()?.get();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(cores).enable_all().build()?)
}

/// Creates a runtime with one thread.
///
/// # Errors
/// No descriptor is available.
pub fn one_thread() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
