//! Reactors: one thread per core, each with its connections and the events that its jobs wait for.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

use bench_harness::sys::message::Descriptors;
use bench_harness::{Result, sparkle};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::protocol::{Message, What};
use crate::socket::{Floor, Socket};

/// Lets clients in, and deals them out to the reactors.
pub(crate) fn serve(listener: OwnedFd) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let doors: Vec<(Sender<OwnedFd>, OwnedFd)> =
        (0..cores).map(|_| start()).collect::<Result<_>>()?;
    for (sender, wake) in doors.iter().cycle() {
        let socket = rustix::net::accept_with(&listener, rustix::net::SocketFlags::CLOEXEC)?;
        sender.send(socket)?;
        sparkle::set(wake)?;
    }
    Ok(())
}

/// Starts a reactor; returns where new connections go and what wakes it for them.
fn start() -> Result<(Sender<OwnedFd>, OwnedFd)> {
    let (sender, incoming) = channel();
    let wake = sparkle::polled_event()?;
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poller, &wake, epoll::EventData::new_u64(NEW), epoll::EventFlags::IN)?;
    let woken = wake.try_clone()?;
    let mut reactor = Reactor { poller, incoming, woken, sources: Vec::new(), free: Vec::new() };
    std::thread::spawn(move || reactor.run());
    Ok((sender, wake))
}

struct Reactor {
    poller: OwnedFd,
    incoming: Receiver<OwnedFd>,
    woken: OwnedFd,
    sources: Vec<Source>,
    free: Vec<u64>,
}

enum Source {
    None,
    Connection(Socket),
    Job { file: File, ready: OwnedFd, done: OwnedFd },
}

impl Reactor {
    fn run(&mut self) -> Result<()> {
        let mut handles = Descriptors::new();
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            epoll::wait(&self.poller, spare_capacity(&mut events), None)?;
            for event in &events {
                match event.data.u64() {
                    NEW => self.let_in()?,
                    key => self.act(key, &mut handles)?,
                }
            }
        }
    }

    fn let_in(&mut self) -> Result<()> {
        sparkle::wait(&self.woken)?;
        while let Ok(socket) = self.incoming.try_recv() {
            let key = self.key();
            let data = epoll::EventData::new_u64(key);
            epoll::add(&self.poller, &socket, data, epoll::EventFlags::IN)?;
            self.sources[key as usize] =
                Source::Connection(Socket::new(socket, Floor::Epoll));
        }
        Ok(())
    }

    fn act(&mut self, key: u64, handles: &mut Descriptors) -> Result<()> {
        match &self.sources[key as usize] {
            Source::None => Ok(()),
            Source::Connection(socket) => {
                // Whatever goes wrong with a client ends its connection.
                match answer(socket, handles) {
                    Ok(None) => Ok(()),
                    Ok(Some(job)) => self.add_job(job),
                    Err(_) => {
                        self.sources[key as usize] = Source::None;
                        self.free.push(key);
                        Ok(())
                    }
                }
            }
            Source::Job { .. } => {
                let source = std::mem::replace(&mut self.sources[key as usize], Source::None);
                self.free.push(key);
                if let Source::Job { file, ready, done } = source {
                    sparkle::wait(&ready)?;
                    // The client may hold another reference, which would keep it in the set.
                    epoll::delete(&self.poller, &ready)?;
                    sparkle::decorate(file, &done)?;
                }
                Ok(())
            }
        }
    }

    fn add_job(&mut self, job: Source) -> Result<()> {
        let key = self.key();
        if let Source::Job { ready, .. } = &job {
            let data = epoll::EventData::new_u64(key);
            epoll::add(&self.poller, ready, data, epoll::EventFlags::IN)?;
        }
        self.sources[key as usize] = job;
        Ok(())
    }

    fn key(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.sources.push(Source::None);
            self.sources.len() as u64 - 1
        })
    }
}

/// Receives one message and answers it; returns the job that it starts.
fn answer(socket: &Socket, handles: &mut Descriptors) -> Result<Option<Source>> {
    let message = socket.receive(handles)?.ok_or("the client is gone")?;
    let reply = Message { number: message.number + 1, ..message };
    match message.what {
        What::Handles => {
            let (file, event) = (handles.take()?, handles.take()?);
            socket.send(reply, &[event.as_fd()])?;
            drop((file, event));
        }
        What::Sparkle => {
            let (file, ready) = (File::from(handles.take()?), handles.take()?);
            let done = sparkle::event()?;
            socket.send(reply, &[done.as_fd()])?;
            return Ok(Some(Source::Job { file, ready, done }));
        }
        _ => socket.send(reply, &[])?,
    }
    Ok(None)
}

/// Marks the event that says that clients have come.
const NEW: u64 = u64::MAX;
