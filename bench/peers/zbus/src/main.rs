//! zbus: D-Bus in Rust, peer to peer and through a dbus-daemon.
//!
//! The contenders use tokio. The interface does not spawn a task for each call, an option that the
//! documentation offers for methods that don't block. No properties are cached. Descriptors arrive
//! as `OwnedFd`.

mod bus;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use bench_asynchronous::{Client, Peer, Side, decorate_when, listener, many_threads};
use bench_harness::{Result, Role, die_with_parent, role, take_orders};
use serde_bytes::{ByteBuf, Bytes};
use zbus::{Connection, Fd, Guid, connection, fdo, interface, proxy};

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) if name == BUS => take_orders(&mut Client::<Bus>::start(&name)?),
        Role::Client(name) => take_orders(&mut Client::<PeerToPeer>::start(&name)?),
        Role::Server(name) => {
            die_with_parent();
            let runtime = many_threads()?;
            match name == BUS {
                true => runtime.block_on(bus::serve()),
                false => runtime.block_on(serve()),
            }
        }
    }
}

/// The contender whose calls go through a dbus-daemon.
const BUS: &str = "zbus-daemon";

/// The path of the object.
const PATH: &str = "/bench";

#[derive(Debug)]
struct Implementation;

#[interface(name = "org.example.Bench", spawn = false)]
impl Implementation {
    fn null(&self, number: u64) -> u64 {
        number + 1
    }

    fn echo(&self, bytes: ByteBuf) -> ByteBuf {
        bytes
    }

    fn exchange(&self, _file: zbus::OwnedFd, event: zbus::OwnedFd) -> zbus::OwnedFd {
        event
    }

    fn sparkle(&self, file: zbus::OwnedFd, ready: zbus::OwnedFd) -> fdo::Result<zbus::OwnedFd> {
        let done = decorate_when(file.into(), ready.into());
        done.map(Into::into).map_err(|error| fdo::Error::Failed(error.to_string()))
    }
}

#[proxy(interface = "org.example.Bench", default_path = "/bench")]
trait Bench {
    fn null(&self, number: u64) -> zbus::Result<u64>;
    fn echo(&self, bytes: &Bytes) -> zbus::Result<ByteBuf>;
    fn exchange(&self, file: Fd<'_>, event: Fd<'_>) -> zbus::Result<zbus::OwnedFd>;
    fn sparkle(&self, file: Fd<'_>, ready: Fd<'_>) -> zbus::Result<zbus::OwnedFd>;
}

async fn serve() -> Result<()> {
    let listener = listener()?;
    loop {
        let socket = listener.accept().await?.0.into_std()?;
        tokio::spawn(async move {
            let builder = connection::Builder::unix_stream(socket).server(Guid::generate()).p2p();
            let connection = builder.serve_at(PATH, Implementation).build().await?;
            // The connection is served until it is dropped, so it is kept here.
            connection.closed().await;
            Ok::<_, zbus::Error>(())
        });
    }
}

/// The contender whose calls go directly from peer to peer, without a bus.
struct PeerToPeer;

impl Peer for PeerToPeer {
    type Connection = BenchProxy<'static>;
    type Payload = ByteBuf;

    const HANDLES: bool = true;

    async fn connect(address: &str) -> Result<BenchProxy<'static>> {
        let socket = UnixStream::connect(address)?;
        let connection = connection::Builder::unix_stream(socket).p2p().build().await?;
        proxy(&connection).await
    }

    fn share(connection: &BenchProxy<'static>) -> Option<BenchProxy<'static>> {
        Some(connection.clone())
    }

    async fn null(connection: &mut BenchProxy<'static>, number: u64) -> Result<u64> {
        Ok(connection.null(number).await?)
    }

    fn payload(bytes: Vec<u8>) -> ByteBuf {
        ByteBuf::from(bytes)
    }

    async fn echo(connection: &mut BenchProxy<'static>, payload: &ByteBuf) -> Result<usize> {
        Ok(connection.echo(Bytes::new(payload)).await?.len())
    }

    async fn exchange(
        connection: &mut BenchProxy<'static>,
        file: &File,
        event: &OwnedFd,
    ) -> Result<OwnedFd> {
        Ok(connection.exchange(file.as_fd().into(), event.as_fd().into()).await?.into())
    }

    async fn sparkle(
        connection: &mut BenchProxy<'static>,
        file: &File,
        ready: &OwnedFd,
    ) -> Result<OwnedFd> {
        Ok(connection.sparkle(file.as_fd().into(), ready.as_fd().into()).await?.into())
    }
}

async fn proxy(connection: &Connection) -> Result<BenchProxy<'static>> {
    // Without a bus the destination has no meaning.
    Ok(BenchProxy::builder(connection).destination(bus::NAME).build().await?)
}

/// Through a dbus-daemon.
struct Bus;

impl Peer for Bus {
    type Connection = BenchProxy<'static>;
    type Payload = ByteBuf;

    const HANDLES: bool = true;

    fn start(name: &str) -> Result<Side> {
        bus::start(name)
    }

    /// A cold start would measure the start of the daemon.
    fn starts_cold() -> bool {
        false
    }

    async fn connect(address: &str) -> Result<BenchProxy<'static>> {
        let connection = connection::Builder::address(address).build().await?;
        proxy(&connection).await
    }

    fn share(connection: &BenchProxy<'static>) -> Option<BenchProxy<'static>> {
        Some(connection.clone())
    }

    async fn null(connection: &mut BenchProxy<'static>, number: u64) -> Result<u64> {
        PeerToPeer::null(connection, number).await
    }

    fn payload(bytes: Vec<u8>) -> ByteBuf {
        ByteBuf::from(bytes)
    }

    async fn echo(connection: &mut BenchProxy<'static>, payload: &ByteBuf) -> Result<usize> {
        PeerToPeer::echo(connection, payload).await
    }

    async fn exchange(
        connection: &mut BenchProxy<'static>,
        file: &File,
        event: &OwnedFd,
    ) -> Result<OwnedFd> {
        PeerToPeer::exchange(connection, file, event).await
    }

    async fn sparkle(
        connection: &mut BenchProxy<'static>,
        file: &File,
        ready: &OwnedFd,
    ) -> Result<OwnedFd> {
        PeerToPeer::sparkle(connection, file, ready).await
    }
}
