//! The client of syshandle.

use std::fs::File;
use std::io::Write;

use bench_harness::sparkle::{CLIENT_LINES, Dishes};
use bench_harness::{Contender, Laps, Result, Work, idle_clients, in_threads};
use rustix::process::{Pid, PidfdFlags, Signal};
use syshandle::{Activation, handle::Event, object::Proxy, pipeline::pipelined};

use crate::interface::{BENCH, COLD, HandlesClient, NumbersAsyncClient, NumbersClient};
use crate::objects;
use crate::registration::{Folders, other};
use crate::sizes::{self, Sized};
use crate::waiting;

/// The contender `syshandle`: its clients, and the activation that opens further connections.
#[derive(Debug)]
pub(crate) struct Contestant {
    numbers: NumbersClient,
    handles: HandlesClient,
    activation: Activation,
    folders: Folders,
}

impl Contestant {
    /// Registers and activates the server. The name contains the number of other registered
    /// classes: none for `syshandle`, and N for `syshandle-classes-N`.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let classes = match name.strip_prefix("syshandle-classes-") {
            Some(number) => number.parse()?,
            None => 0,
        };
        let folders = Folders::make()?;
        folders.register_others(classes)?;
        let activation = Activation::new().registry(folders.registry());
        let numbers = activation.activate(BENCH.clsid())?;
        let handles = activation.activate(BENCH.clsid())?;
        Ok(Self { numbers, handles, activation, folders })
    }

    /// Returns the client for calls without handles.
    pub(crate) fn numbers(&self) -> &NumbersClient {
        &self.numbers
    }

    /// Returns the client for calls with handles.
    pub(crate) fn handles(&self) -> &HandlesClient {
        &self.handles
    }

    /// Opens a new connection for calls with handles.
    pub(crate) fn connect_handles(&self) -> Result<HandlesClient> {
        Ok(self.activation.activate(BENCH.clsid())?)
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
            sparkle(&self.handles, &dishes)?;
        }
        Ok(dishes.check()?)
    }

    /// Runs clients that each have their own connection and thread.
    fn clients(&self, clients: usize, laps: &mut Laps) -> Result<()> {
        let mut clients: Vec<NumbersClient> =
            (0..clients).map(|_| self.connect()).collect::<Result<_>>()?;
        call_all(&mut clients, laps)
    }

    /// Keeps `calls` calls in flight from one thread on one connection.
    fn pipelined(&self, calls: usize, laps: &mut Laps) -> Result<()> {
        let starter = NumbersAsyncClient::from(&self.connect()?);
        laps.set_calls_per_lap(calls);
        let mut pending = Vec::with_capacity(calls);
        while laps.next() {
            pipelined(&starter, |starter| {
                pending.extend((0..calls).map(|_| starter.null(1)));
            });
            for call in pending.drain(..) {
                check(call.wait()?)?;
            }
        }
        Ok(())
    }

    /// Makes one-way calls from one thread on one connection, and flushes after each `calls` of them.
    fn one_way(&self, calls: usize, laps: &mut Laps) -> Result<()> {
        let client = self.connect()?;
        laps.set_calls_per_lap(calls);
        while laps.next() {
            for _ in 0..calls {
                client.notify(1)?;
            }
            client.flush_one_way()?;
        }
        Ok(())
    }

    /// Opens a new connection for calls without handles.
    fn connect(&self) -> Result<NumbersClient> {
        Ok(self.activation.activate(BENCH.clsid())?)
    }

    /// Starts a server in each lap. The server's end isn't timed.
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
        let _idle = idle_clients(clients, &self.pids(), laps, || {
            let client = self.connect()?;
            check(client.null(1)?)?;
            Ok(client)
        })?;
        while laps.next() {
            check(self.numbers.null(1)?)?;
        }
        Ok(())
    }

    /// Passes the files in consecutive calls with as many handles as the kernel permits per
    /// message.
    fn many_handles(&self, count: usize, laps: &mut Laps) -> Result<()> {
        let dishes = Dishes::new();
        let files: Vec<File> = (0..count).map(|_| dishes.open()).collect::<Result<_, _>>()?;
        let (first, others) = files.split_at(files.len().min(Work::HANDLES_MAX));
        while laps.next() {
            // One call is made even if there are no files.
            self.handles.count(first)?;
            for files in others.chunks(Work::HANDLES_MAX) {
                self.handles.count(files)?;
            }
        }
        Ok(())
    }

    /// Looks up a different class each time, spread over all registrations.
    fn look_up(&self, classes: usize, laps: &mut Laps) -> Result<()> {
        let registry = self.folders.registry();
        let mut number = 0;
        while laps.next() {
            // The step is a prime number, so every class is looked up before one is repeated.
            number = (number + 7919) % classes.max(1);
            registry.find(other(number))?;
        }
        Ok(())
    }

    fn connect_sized(&self, methods: usize) -> Result<Sized> {
        sizes::connect(&self.activation, methods)
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
            Work::OneWay(calls) => self.one_way(calls, laps)?,
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
            Work::BackgroundTasks(tasks) => waiting::events(self, tasks, laps)?,
            Work::Timers(tasks) => waiting::timers(self, tasks, laps)?,
            Work::Objects(count) => objects::call(self, count, laps)?,
            Work::NewObject(count) => objects::create(self, count, laps)?,
            Work::LookUp(classes) => self.look_up(classes, laps)?,
            Work::Methods(methods) => {
                let client = self.connect_sized(methods)?;
                while laps.next() {
                    check(client.call_last(1)?)?;
                }
            }
            Work::ConnectMethods(methods) => {
                while laps.next() {
                    check(self.connect_sized(methods)?.call_last(1)?)?;
                }
            }
        }
        Ok(true)
    }
}

/// Performs the whole timeline of the sample once.
pub(crate) fn sparkle(handles: &HandlesClient, dishes: &Dishes) -> syshandle::Result<()> {
    let (mut file, ready) = (dishes.open()?, Event::new()?);
    let done = handles.sparkle(&file, &ready)?;
    file.write_all(CLIENT_LINES)?;
    ready.set()?;
    handles.wait(&done)
}

fn call_all(clients: &mut [NumbersClient], laps: &mut Laps) -> Result<()> {
    in_threads(clients, laps, |client, laps| {
        while laps.next() {
            check(client.null(1)?)?;
        }
        Ok(())
    })
}

/// Checks the result of a call with the number 1.
pub(crate) fn check(number: u64) -> Result<()> {
    match number {
        2 => Ok(()),
        _ => Err("a wrong number came back".into()),
    }
}

/// Ends a server, and waits until it has ended.
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
