//! The client of sd-bus.

use std::os::fd::AsFd;

use bench_harness::sparkle::{self, Dishes};
use bench_harness::{
    Contender, Laps, Result, Server, SocketType, Work, connect, idle_clients, in_threads,
};

use crate::sys::Bus;

/// The client and its server.
#[derive(Debug)]
pub(crate) struct Client {
    server: Server,
    name: String,
}

impl Client {
    pub(crate) fn start(name: String) -> Result<Self> {
        Ok(Self { server: Server::start(&name, SocketType::STREAM)?, name })
    }

    fn connect(server: &Server) -> Result<Bus> {
        Ok(Bus::connect(connect(server.path(), SocketType::STREAM)?)?)
    }

    fn handles(&self, laps: &mut Laps) -> Result<()> {
        let mut bus = Self::connect(&self.server)?;
        let dishes = Dishes::new();
        let (file, event) = (dishes.open()?, sparkle::event()?);
        while laps.next() {
            drop(bus.handles(c"Exchange", file.as_fd(), event.as_fd())?);
        }
        Ok(())
    }

    fn sparkle(&self, laps: &mut Laps) -> Result<()> {
        let mut bus = Self::connect(&self.server)?;
        let dishes = Dishes::new();
        while laps.next() {
            let (file, ready) = (dishes.open()?, sparkle::event()?);
            let done = bus.handles(c"Sparkle", file.as_fd(), ready.as_fd())?;
            sparkle::finish(file, ready, done)?;
        }
        Ok(dishes.check()?)
    }

    fn cold(&self, laps: &mut Laps) -> Result<()> {
        while laps.is_on() {
            laps.begin_lap();
            let server = Server::start(&self.name, SocketType::STREAM)?;
            null(&mut Self::connect(&server)?)?;
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
                let mut bus = Self::connect(&self.server)?;
                while laps.next() {
                    null(&mut bus)?;
                }
            }
            Work::Handles => self.handles(laps)?,
            Work::Sparkle => self.sparkle(laps)?,
            Work::Clients(clients) => {
                let mut buses: Vec<_> =
                    (0..clients).map(|_| Self::connect(&self.server)).collect::<Result<_>>()?;
                in_threads(&mut buses, laps, |bus, laps| {
                    while laps.next() {
                        null(bus)?;
                    }
                    Ok(())
                })?;
            }
            Work::Payload(len) => {
                let mut bus = Self::connect(&self.server)?;
                let payload = vec![7; len];
                while laps.next() {
                    if bus.echo(&payload)? != len {
                        return Err("not as many bytes came back".into());
                    }
                }
            }
            Work::Connect => {
                while laps.next() {
                    null(&mut Self::connect(&self.server)?)?;
                }
            }
            Work::Cold => self.cold(laps)?,
            Work::Pipelined(calls) => {
                let mut bus = Self::connect(&self.server)?;
                laps.set_calls_per_lap(calls);
                while laps.next() {
                    bus.flight(calls)?;
                }
            }
            Work::Idle(clients) => {
                let mut bus = Self::connect(&self.server)?;
                let _idle = idle_clients(clients, &self.pids(), laps, || {
                    let mut bus = Self::connect(&self.server)?;
                    null(&mut bus)?;
                    Ok(bus)
                })?;
                while laps.next() {
                    null(&mut bus)?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn null(bus: &mut Bus) -> Result<()> {
    match bus.null(1)? {
        2 => Ok(()),
        _ => Err("a wrong number came back".into()),
    }
}
