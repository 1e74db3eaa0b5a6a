//! The client of all floors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bench_harness::sparkle::{self, Dishes};
use bench_harness::sys::message::Descriptors;
use bench_harness::{Contender, Laps, Result, Server, Work, connect, idle_clients, in_threads};

use crate::protocol::{Message, What};
use crate::socket::{Floor, Socket};
use crate::{arena, batch};

/// The client of a floor.
#[derive(Debug)]
pub(crate) struct Client {
    floor: Floor,
    server: Server,
}

/// A connection of the client.
#[derive(Debug)]
struct Connection {
    socket: Socket,
    handles: Descriptors,
    bytes: Vec<u8>,
}

impl Client {
    pub(crate) fn start(floor: Floor) -> Result<Self> {
        Ok(Self { floor, server: Server::start(floor.name(), floor.socket_type())? })
    }

    fn connect(&self) -> Result<Connection> {
        Connection::open(&self.server, self.floor)
    }

    fn sparkle(&self, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect()?;
        let dishes = Dishes::new();
        while laps.next() {
            let (file, ready) = (dishes.open()?, connection.socket.event()?);
            let done =
                connection.call(What::Sparkle, 0, &[file.as_fd(), ready.as_fd()])?.1.take()?;
            std::io::Write::write_all(&mut (&file), sparkle::CLIENT_LINES)?;
            sparkle::set(&ready)?;
            connection.socket.wait_for(&done)?;
        }
        Ok(dishes.check()?)
    }

    fn cold(&self, laps: &mut Laps) -> Result<()> {
        while laps.is_on() {
            laps.begin_lap();
            let server = Server::start(self.floor.name(), self.floor.socket_type())?;
            let mut connection = Connection::open(&server, self.floor)?;
            connection.null(1)?;
            laps.end_lap();
        }
        Ok(())
    }

    fn idle(&self, clients: usize, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect()?;
        connection.null(1)?;
        let _idle = idle_clients(clients, &self.pids(), laps, || {
            let mut connection = self.connect()?;
            connection.null(1)?;
            Ok(connection.socket)
        })?;
        while laps.next() {
            connection.null(1)?;
        }
        Ok(())
    }

    /// Sends the files in consecutive messages of at most [`Work::HANDLES_MAX`].
    fn many_handles(&self, count: usize, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect()?;
        let dishes = Dishes::new();
        let files: Vec<OwnedFd> =
            (0..count).map(|_| dishes.open().map(OwnedFd::from)).collect::<std::io::Result<_>>()?;
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        while laps.next() {
            // Without files, one empty call is made.
            let (first, others) = files.split_at(files.len().min(Work::HANDLES_MAX));
            connection.call(What::Many, 0, first)?;
            for files in others.chunks(Work::HANDLES_MAX) {
                connection.call(What::Many, 0, files)?;
            }
        }
        Ok(())
    }
}

impl Contender for Client {
    fn pids(&self) -> Vec<u32> {
        vec![self.server.pid()]
    }

    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool> {
        match (self.floor, work) {
            (Floor::Arena, Work::Payload(len)) => arena::shared(self.connect()?.socket, len, laps)?,
            (Floor::Memory, Work::Payload(len)) => {
                arena::each_time(self.connect()?.socket, len, laps)?;
            }
            (Floor::Batch, Work::Pipelined(calls)) => {
                batch::call(self.connect()?.socket, calls, laps)?;
            }
            (Floor::Arena | Floor::Memory | Floor::Batch, _) => return Ok(false),
            (_, Work::Null) => {
                let mut connection = self.connect()?;
                while laps.next() {
                    connection.null(7)?;
                }
            }
            (_, Work::Handles) => {
                let mut connection = self.connect()?;
                let dishes = Dishes::new();
                let (file, event) = (dishes.open()?, sparkle::event()?);
                while laps.next() {
                    drop(
                        connection
                            .call(What::Handles, 0, &[file.as_fd(), event.as_fd()])?
                            .1
                            .take()?,
                    );
                }
            }
            (_, Work::Sparkle) => self.sparkle(laps)?,
            (_, Work::Clients(clients)) => {
                let mut connections: Vec<_> =
                    (0..clients).map(|_| self.connect()).collect::<Result<_>>()?;
                in_threads(&mut connections, laps, |connection, laps| {
                    while laps.next() {
                        connection.null(7)?;
                    }
                    Ok(())
                })?;
            }
            (Floor::Seqpacket | Floor::Stream, Work::Payload(len)) => {
                let mut connection = self.connect()?;
                let payload = vec![7; len];
                connection.bytes = vec![0; len];
                connection.call(What::Room, len as u64, &[])?;
                while laps.next() {
                    connection.bytes(&payload)?;
                }
            }
            (_, Work::Connect) => {
                while laps.next() {
                    self.connect()?.null(1)?;
                }
            }
            (Floor::Seqpacket | Floor::Stream | Floor::Epoll, Work::Cold) => self.cold(laps)?,
            (Floor::Epoll, Work::Idle(clients)) => self.idle(clients, laps)?,
            (Floor::Seqpacket, Work::ManyHandles(count)) => self.many_handles(count, laps)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Connection {
    fn open(server: &Server, floor: Floor) -> Result<Self> {
        let socket = Socket::new(connect(server.path(), floor.socket_type())?, floor);
        Ok(Self { socket, handles: Descriptors::new(), bytes: Vec::new() })
    }

    fn call(
        &mut self,
        what: What,
        number: u64,
        handles: &[BorrowedFd<'_>],
    ) -> Result<(Message, &mut Descriptors)> {
        self.socket.send(Message { what, number }, handles)?;
        let reply = self.socket.receive(&mut self.handles)?;
        Ok((reply.ok_or("the server is gone")?, &mut self.handles))
    }

    fn null(&mut self, number: u64) -> Result<()> {
        match self.call(What::Null, number, &[])?.0.number == number + 1 {
            true => Ok(()),
            false => Err("a wrong number came back".into()),
        }
    }

    fn bytes(&mut self, payload: &[u8]) -> Result<()> {
        let message = Message { what: What::Bytes, number: payload.len() as u64 };
        self.socket.send_bytes(message, payload)?;
        let reply = self.socket.receive_bytes(&mut self.bytes, &mut self.handles)?;
        match reply.is_some_and(|reply| reply.number == payload.len() as u64) {
            true => Ok(()),
            false => Err("not as many bytes came back".into()),
        }
    }
}
