//! ipc-channel: the channels of Servo, one for each direction.
//!
//! A connection consists of two channels. The client sends their far ends through a channel that the
//! server creates at its start and passes to the client's one-shot server. The server has a thread
//! for each connection. Bytes are sent through `bytes_channel`, which avoids serialization. The
//! library passes no descriptors except for its own channels and memory.

use std::process::{Child, Command, Stdio};

use bench_harness::{
    Contender, Laps, Result, Role, Work, descriptors_max, die_with_parent, idle_clients,
    in_threads, role, take_orders,
};
use ipc_channel::ipc::{
    self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender,
};
use serde::{Deserialize, Serialize};

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) => take_orders(&mut Client { server: Server::start(&name)?, name }),
        Role::Server(_) => {
            die_with_parent();
            serve(std::env::var(NAME)?)
        }
    }
}

/// The message by which a client connects. It carries the server's ends of the client's channels.
#[derive(Debug, Serialize, Deserialize)]
enum Connect {
    Numbers(IpcReceiver<u64>, IpcSender<u64>),
    Bytes(IpcBytesReceiver, IpcBytesSender),
}

/// Serves forever. Creates the channel for new clients, and passes its sending end to the process
/// that started this server.
fn serve(name: String) -> Result<()> {
    let (door, clients) = ipc::channel::<Connect>()?;
    IpcSender::connect(name)?.send(door)?;
    loop {
        let client = clients.recv()?;
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        // A thread usually ends because its client's channel is closed.
        thread.spawn(move || match client {
            Connect::Numbers(incoming, outgoing) => {
                while let Ok(number) = incoming.recv() {
                    if outgoing.send(number + 1).is_err() {
                        return;
                    }
                }
            }
            Connect::Bytes(incoming, outgoing) => {
                while let Ok(bytes) = incoming.recv() {
                    if outgoing.send(&bytes).is_err() {
                        return;
                    }
                }
            }
        })?;
    }
}

/// The server process, and the channel for new connections.
#[derive(Debug)]
struct Server {
    child: Child,
    door: IpcSender<Connect>,
}

impl Server {
    fn start(contender: &str) -> Result<Self> {
        let (server, name) = IpcOneShotServer::new()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["server", contender])
            .env(NAME, name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, door: server.accept()?.1 })
    }

    fn connect(&self) -> Result<(IpcSender<u64>, IpcReceiver<u64>)> {
        let ((outgoing, theirs), (answers, incoming)) = (ipc::channel()?, ipc::channel()?);
        self.door.send(Connect::Numbers(theirs, answers))?;
        Ok((outgoing, incoming))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
struct Client {
    server: Server,
    name: String,
}

impl Client {
    fn cold(&self, laps: &mut Laps) -> Result<()> {
        while laps.is_on() {
            laps.begin_lap();
            let server = Server::start(&self.name)?;
            null(&server.connect()?)?;
            laps.end_lap();
        }
        Ok(())
    }

    /// One thread sends all messages that may be in flight, and then receives all replies.
    fn pipelined(&self, calls: usize, laps: &mut Laps) -> Result<()> {
        let (outgoing, incoming) = self.server.connect()?;
        laps.set_calls_per_lap(calls);
        while laps.next() {
            for _ in 0..calls {
                outgoing.send(1)?;
            }
            for _ in 0..calls {
                check(incoming.recv()?)?;
            }
        }
        Ok(())
    }

    fn payload(&self, len: usize, laps: &mut Laps) -> Result<()> {
        let ((outgoing, theirs), (answers, incoming)) =
            (ipc::bytes_channel()?, ipc::bytes_channel()?);
        self.server.door.send(Connect::Bytes(theirs, answers))?;
        let payload = vec![7; len];
        while laps.next() {
            outgoing.send(&payload)?;
            if incoming.recv()?.len() != len {
                return Err("not as many bytes came back".into());
            }
        }
        Ok(())
    }
}

impl Contender for Client {
    fn pids(&self) -> Vec<u32> {
        vec![self.server.child.id()]
    }

    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool> {
        match work {
            Work::Null => {
                let connection = self.server.connect()?;
                while laps.next() {
                    null(&connection)?;
                }
            }
            Work::Clients(clients) => {
                let mut connections: Vec<_> =
                    (0..clients).map(|_| self.server.connect()).collect::<Result<_>>()?;
                in_threads(&mut connections, laps, |connection, laps| {
                    while laps.next() {
                        null(connection)?;
                    }
                    Ok(())
                })?;
            }
            Work::Payload(len) => self.payload(len, laps)?,
            Work::Connect => {
                while laps.next() {
                    null(&self.server.connect()?)?;
                }
            }
            Work::Cold => self.cold(laps)?,
            Work::Pipelined(calls) => self.pipelined(calls, laps)?,
            Work::Idle(clients) if clients * 2 < descriptors_max() => {
                let connection = self.server.connect()?;
                let _idle = idle_clients(clients, &self.pids(), laps, || {
                    let connection = self.server.connect()?;
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
            Work::Handles | Work::Sparkle => "it passes no descriptors of its user's",
            Work::Idle(_) => "a client is two channels, and a process may not have that many",
            _ => "",
        }
    }
}

fn null((outgoing, incoming): &(IpcSender<u64>, IpcReceiver<u64>)) -> Result<()> {
    outgoing.send(1)?;
    check(incoming.recv()?)
}

fn check(number: u64) -> Result<()> {
    match number {
        2 => Ok(()),
        _ => Err("a wrong number came back".into()),
    }
}

/// Passes the server the name of the one-shot server that waits for it.
const NAME: &str = "BENCH_ONE_SHOT";
