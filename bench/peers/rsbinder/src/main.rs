//! rsbinder: Android's Binder, with its RPC transport over a Unix socket.
//!
//! The interface is written in AIDL, calls block, and a session has one connection that may carry
//! descriptors. The server accepts connections itself and passes each to the library
//! (`serve_connection`), because the library's own loop checks for new connections only every few
//! milliseconds. The object of a session is requested once.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use bench_harness::sparkle::{self, Dishes};
use bench_harness::{
    Contender, Laps, Result, Role, Server, SocketType, Work, die_with_parent, idle_clients,
    in_threads, listener, role, take_orders,
};
use rsbinder::rpc::transport::UnixTransport;
use rsbinder::rpc::{FileDescriptorTransportMode, RpcServer, RpcSession};
use rsbinder::{Interface, ParcelFileDescriptor, Status, StatusCode, Strong};

use crate::generated::IBench::{BnBench, IBench};

#[expect(unreachable_pub, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bench.rs"));
}

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) => {
            take_orders(&mut Client { server: Server::start(&name, SocketType::STREAM)?, name })
        }
        Role::Server(_) => {
            die_with_parent();
            serve()
        }
    }
}

struct Implementation;

impl Interface for Implementation {}

impl IBench for Implementation {
    fn add(&self, number: i64) -> rsbinder::BinderResult<i64> {
        Ok(number + 1)
    }

    fn echo(&self, bytes: &[u8]) -> rsbinder::BinderResult<Vec<u8>> {
        Ok(bytes.to_vec())
    }

    fn exchange(
        &self,
        _file: &ParcelFileDescriptor,
        event: &ParcelFileDescriptor,
    ) -> rsbinder::BinderResult<ParcelFileDescriptor> {
        Ok(event.try_clone()?)
    }

    fn sparkle(
        &self,
        file: &ParcelFileDescriptor,
        ready: &ParcelFileDescriptor,
    ) -> rsbinder::BinderResult<ParcelFileDescriptor> {
        let start = || -> Result<OwnedFd> {
            let (file, ready) = (own(file)?, own(ready)?);
            let done = sparkle::event()?;
            let signal = done.try_clone()?;
            // The library can only wait for an event on a separate thread.
            std::thread::spawn(move || {
                sparkle::wait(&ready).and_then(|()| sparkle::decorate(File::from(file), &signal))
            });
            Ok(done)
        };
        let done = start().map_err(|_| Status::from(StatusCode::Unknown))?;
        Ok(ParcelFileDescriptor::new(done))
    }
}

fn serve() -> Result<()> {
    let listener = std::os::unix::net::UnixListener::from(listener()?);
    // The library's own listener is never used; see the module documentation.
    let unused = std::env::temp_dir().join(format!("bench-rsbinder-{}", std::process::id()));
    let server = RpcServer::setup_unix_server(&unused)?;
    std::fs::remove_file(unused)?;
    server.set_supported_fd_modes(&[FileDescriptorTransportMode::Unix]);
    server.set_root(BnBench::new_binder(Implementation).as_binder())?;
    for socket in listener.incoming() {
        server.serve_connection(Box::new(UnixTransport::from_stream(socket?)?));
    }
    Ok(())
}

#[derive(Debug)]
struct Client {
    server: Server,
    name: String,
}

/// A session and the object at its other end.
struct Connection {
    _session: RpcSession,
    object: Strong<dyn IBench>,
}

impl Client {
    fn connect(server: &Server) -> Result<Connection> {
        let session = RpcSession::setup_unix_client(server.path())?;
        session.negotiate_fd_transport(FileDescriptorTransportMode::Unix)?;
        let object = session.get_root()?.into_interface::<dyn IBench>()?;
        Ok(Connection { _session: session, object })
    }

    fn handles(&self, laps: &mut Laps) -> Result<()> {
        let connection = Self::connect(&self.server)?;
        let dishes = Dishes::new();
        let file = ParcelFileDescriptor::new(dishes.open()?);
        let event = ParcelFileDescriptor::new(sparkle::event()?);
        while laps.next() {
            drop(connection.object.exchange(&file, &event)?);
        }
        Ok(())
    }

    fn sparkle(&self, laps: &mut Laps) -> Result<()> {
        let connection = Self::connect(&self.server)?;
        let dishes = Dishes::new();
        while laps.next() {
            let file = ParcelFileDescriptor::new(dishes.open()?);
            let ready = ParcelFileDescriptor::new(sparkle::event()?);
            let done = connection.object.sparkle(&file, &ready)?;
            let (file, ready) = (OwnedFd::from(file), OwnedFd::from(ready));
            sparkle::finish(File::from(file), ready, done.into())?;
        }
        Ok(dishes.check()?)
    }

    fn cold(&self, laps: &mut Laps) -> Result<()> {
        while laps.is_on() {
            laps.begin_lap();
            let server = Server::start(&self.name, SocketType::STREAM)?;
            null(&Self::connect(&server)?)?;
            laps.end_lap();
        }
        Ok(())
    }
}

impl Contender for Client {
    fn pids(&self) -> Vec<u32> {
        vec![self.server.pid()]
    }

    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool> {
        match work {
            Work::Null => {
                let connection = Self::connect(&self.server)?;
                while laps.next() {
                    null(&connection)?;
                }
            }
            Work::Handles => self.handles(laps)?,
            Work::Sparkle => self.sparkle(laps)?,
            Work::Clients(clients) => {
                let mut connections: Vec<_> =
                    (0..clients).map(|_| Self::connect(&self.server)).collect::<Result<_>>()?;
                in_threads(&mut connections, laps, |connection, laps| {
                    while laps.next() {
                        null(connection)?;
                    }
                    Ok(())
                })?;
            }
            Work::Payload(len) => {
                let connection = Self::connect(&self.server)?;
                let payload = vec![7; len];
                while laps.next() {
                    if connection.object.echo(&payload)?.len() != len {
                        return Err("not as many bytes came back".into());
                    }
                }
            }
            Work::Connect => {
                while laps.next() {
                    null(&Self::connect(&self.server)?)?;
                }
            }
            Work::Cold => self.cold(laps)?,
            Work::Idle(clients) => {
                let connection = Self::connect(&self.server)?;
                let _idle = idle_clients(clients, &self.pids(), laps, || {
                    let connection = Self::connect(&self.server)?;
                    null(&connection)?;
                    Ok(connection)
                })?;
                while laps.next() {
                    null(&connection)?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn why_not(&self, work: Work) -> &'static str {
        match work {
            Work::Pipelined(_) => "a connection has one caller",
            _ => "",
        }
    }
}

fn null(connection: &Connection) -> Result<()> {
    match connection.object.add(1)? {
        2 => Ok(()),
        _ => Err("a wrong number came back".into()),
    }
}

fn own(descriptor: &ParcelFileDescriptor) -> std::io::Result<OwnedFd> {
    descriptor.as_fd().try_clone_to_owned()
}
