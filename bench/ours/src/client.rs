//! The client's side.

use std::fs::File;
use std::io::Write;

use bench_harness::sparkle::{CLIENT_LINES, Dishes};
use bench_harness::{Contender, Laps, Result, Work, cpu_time, in_threads, memory};
use rustix::process::{Pid, PidfdFlags, Signal};
use syshandle::{Activation, Event, Proxy};

use crate::interface::{BENCH, COLD, HandlesClient, NumbersClient, NumbersStarter};
use crate::registration::Folders;

/// The client, and what keeps the server alive.
#[derive(Debug)]
pub(crate) struct Contestant {
    numbers: NumbersClient,
    handles: HandlesClient,
    activation: Activation,
    _folders: Folders,
}

impl Contestant {
    /// Registers, and activates. The name says how many other classes there are: `syshandle` is
    /// none, `syshandle-classes-N` is N.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let classes = match name.strip_prefix("syshandle-classes-") {
            Some(number) => number.parse()?,
            None => 0,
        };
        let folders = Folders::make()?;
        folders.register_others(0, classes)?;
        let activation = Activation::new().locations(folders.locations());
        let numbers = activation.activate(BENCH.clsid())?;
        let handles = activation.activate(BENCH.clsid())?;
        Ok(Self { numbers, handles, activation, _folders: folders })
    }

    /// The reference by which calls without handles go.
    pub(crate) fn numbers(&self) -> &NumbersClient {
        &self.numbers
    }

    /// The reference by which calls with handles go.
    pub(crate) fn handles(&self) -> &HandlesClient {
        &self.handles
    }

    fn server(&self) -> Result<u32> {
        Ok(self.numbers.as_client().server()?.pid)
    }

    fn exchange(&self, laps: &mut Laps) -> Result<()> {
        let dishes = Dishes::new();
        let (file, event) = (dishes.open()?, Event::new()?);
        while laps.next() {
            let _event = self.handles.exchange(&file, &event)?;
        }
        Ok(())
    }

    fn sparkle(&self, laps: &mut Laps) -> Result<()> {
        let dishes = Dishes::new();
        while laps.next() {
            let (mut file, ready) = (dishes.open()?, Event::new()?);
            let done = self.handles.sparkle(&file, &ready)?;
            file.write_all(CLIENT_LINES)?;
            ready.set()?;
            self.handles.wait(&done)?;
        }
        Ok(dishes.check()?)
    }

    /// One connection each, on a thread each.
    fn clients(&self, clients: usize, laps: &mut Laps) -> Result<()> {
        let mut clients: Vec<NumbersClient> =
            (0..clients).map(|_| self.connect()).collect::<Result<_>>()?;
        call_all(&mut clients, laps)
    }

    /// One connection, and one thread that keeps so many calls in flight.
    fn pipelined(&self, calls: usize, laps: &mut Laps) -> Result<()> {
        let starter = NumbersStarter::from(&self.connect()?);
        laps.set_calls_per_lap(calls);
        let mut pending = Vec::with_capacity(calls);
        while laps.next() {
            pending.extend((0..calls).map(|_| starter.null(1)));
            for call in pending.drain(..) {
                check(call.wait()?)?;
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<NumbersClient> {
        Ok(self.activation.activate(BENCH.clsid())?)
    }

    /// Each lap starts a server; its end isn't timed.
    fn cold(&self, laps: &mut Laps) -> Result<()> {
        while laps.is_on() {
            laps.begin_lap();
            let client: NumbersClient = self.activation.activate(COLD.clsid())?;
            check(client.null(1)?)?;
            laps.end_lap();
            let server = client.as_client().server()?.pid;
            drop(client);
            end(server)?;
        }
        Ok(())
    }

    fn idle(&self, clients: usize, laps: &mut Laps) -> Result<()> {
        check(self.numbers.null(1)?)?;
        let server = self.server()?;
        let before = memory(server)?;
        let mut idle = Vec::new();
        for _ in 0..clients {
            let client = self.connect()?;
            check(client.null(1)?)?;
            idle.push(client);
        }
        let after = memory(server)?;
        laps.set_memory(after.saturating_sub(before) as f64 / clients.max(1) as f64);
        while laps.next() {
            check(self.numbers.null(1)?)?;
        }
        Ok(())
    }

    fn many_handles(&self, count: usize, laps: &mut Laps) -> Result<()> {
        let dishes = Dishes::new();
        let files: Vec<File> = (0..count).map(|_| dishes.open()).collect::<Result<_, _>>()?;
        while laps.next() {
            self.handles.count(&files)?;
        }
        Ok(())
    }

    /// The jobs end with their client.
    fn jobs(&self, jobs: usize, laps: &mut Laps) -> Result<()> {
        let server = self.server()?;
        let before = (memory(server)?, cpu_time(&[server]));
        let client: HandlesClient = self.activation.activate(BENCH.clsid())?;
        let event = Event::new()?;
        for _ in 0..jobs {
            client.wait_for(&event)?;
        }
        let after = memory(server)?;
        laps.set_memory(after.saturating_sub(before.0) as f64 / jobs.max(1) as f64);
        while laps.next() {
            check(self.numbers.null(1)?)?;
        }
        // One event for all: setting it over and over ends one job after the other.
        for _ in 0..jobs {
            event.set()?;
            while event.wait_timeout(std::time::Duration::ZERO)? {
                event.set()?;
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

impl Contender for Contestant {
    fn pids(&self) -> Vec<u32> {
        self.server().into_iter().collect()
    }

    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool> {
        match work {
            Work::Null => {
                while laps.next() {
                    check(self.numbers.null(1)?)?;
                }
            }
            Work::Handles => self.exchange(laps)?,
            Work::Sparkle => self.sparkle(laps)?,
            Work::Clients(clients) => self.clients(clients, laps)?,
            Work::Pipelined(calls) => self.pipelined(calls, laps)?,
            Work::Payload(len) => {
                let payload = vec![7; len];
                while laps.next() {
                    self.numbers.echo(&payload)?;
                }
            }
            Work::Connect => {
                while laps.next() {
                    check(self.connect()?.null(1)?)?;
                }
            }
            Work::Cold => self.cold(laps)?,
            Work::Idle(clients) => self.idle(clients, laps)?,
            Work::ManyHandles(count) => self.many_handles(count, laps)?,
            Work::Jobs(jobs) => self.jobs(jobs, laps)?,
        }
        Ok(true)
    }
}

fn call_all(clients: &mut [NumbersClient], laps: &mut Laps) -> Result<()> {
    in_threads(clients, laps, |client, laps| {
        while laps.next() {
            check(client.null(1)?)?;
        }
        Ok(())
    })
}

fn check(number: u64) -> Result<()> {
    match number {
        2 => Ok(()),
        _ => Err("a wrong number came back".into()),
    }
}

/// Has a server end, and waits until it has.
fn end(server: u32) -> Result<()> {
    let pid = Pid::from_raw(server as i32).ok_or("the server has no number")?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    rustix::process::pidfd_send_signal(&process, Signal::TERM)?;
    let mut polls = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 15, tv_nsec: 0 };
    match rustix::event::poll(&mut polls, Some(&patience))? {
        0 => Err("the server doesn't end".into()),
        _ => Ok(()),
    }
}
