//! A server with one reactor per core. Each reactor is a thread that polls its connections and the
//! events that its background tasks wait for.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use bench_harness::sys::message::Descriptors;
use bench_harness::{Result, sparkle};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::protocol::{Message, What};
use crate::socket::{Floor, Socket};

/// Serves with one reactor per core. The first one runs on this thread.
pub(crate) fn serve(listener: OwnedFd) -> Result<()> {
    rustix::io::ioctl_fionbio(&listener, true)?;
    let cores = std::thread::available_parallelism()?.get();
    let (mut others, mut doors) = (Vec::new(), Vec::new());
    for _ in 1..cores {
        let (mut reactor, door) = Reactor::new(Entrance::Other)?;
        doors.push(door);
        others.push(std::thread::spawn(move || reactor.run()));
    }
    Reactor::new(Entrance::First { listener, doors })?.0.run()
}

struct Reactor {
    poller: OwnedFd,
    incoming: Receiver<OwnedFd>,
    woken: OwnedFd,
    entrance: Entrance,
    load: Arc<AtomicUsize>,
    sources: Vec<Source>,
    free: Vec<u64>,
}

/// Source of a reactor's connections.
enum Entrance {
    /// The first reactor accepts connections, and passes each to the reactor with the fewest.
    First { listener: OwnedFd, doors: Vec<Door> },
    /// Any other reactor receives connections from the first one.
    Other,
}

/// A channel to another reactor.
struct Door {
    sender: Sender<OwnedFd>,
    wake: OwnedFd,
    load: Arc<AtomicUsize>,
}

enum Source {
    None,
    Connection(Socket),
    BackgroundTask { file: File, ready: OwnedFd, done: OwnedFd },
}

impl Reactor {
    fn new(entrance: Entrance) -> Result<(Self, Door)> {
        let (sender, incoming) = channel();
        let wake = sparkle::polled_event()?;
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poller, &wake, epoll::EventData::new_u64(GIVEN), epoll::EventFlags::IN)?;
        if let Entrance::First { listener, .. } = &entrance {
            let data = epoll::EventData::new_u64(NEW);
            epoll::add(&poller, listener, data, epoll::EventFlags::IN)?;
        }
        let load = Arc::<AtomicUsize>::default();
        let door = Door { sender, wake: wake.try_clone()?, load: load.clone() };
        let (sources, free) = (Vec::new(), Vec::new());
        Ok((Self { poller, incoming, woken: wake, entrance, load, sources, free }, door))
    }

    fn run(&mut self) -> Result<()> {
        let mut handles = Descriptors::new();
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            epoll::wait(&self.poller, spare_capacity(&mut events), None)?;
            for event in &events {
                match event.data.u64() {
                    NEW => self.let_in()?,
                    GIVEN => {
                        sparkle::wait(&self.woken)?;
                        while let Ok(socket) = self.incoming.try_recv() {
                            self.add(socket)?;
                        }
                    }
                    key => self.act(key, &mut handles)?,
                }
            }
        }
    }

    fn let_in(&mut self) -> Result<()> {
        let Entrance::First { listener, doors } = &self.entrance else { return Ok(()) };
        let socket = match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Err(Errno::AGAIN) => return Ok(()),
            accepted => accepted?,
        };
        let load = |load: &AtomicUsize| load.load(Ordering::Relaxed);
        match doors.iter().min_by_key(|door| load(&door.load)) {
            Some(door) if load(&door.load) < load(&self.load) => {
                door.load.fetch_add(1, Ordering::Relaxed);
                door.sender.send(socket)?;
                Ok(sparkle::set(&door.wake)?)
            }
            _ => {
                self.load.fetch_add(1, Ordering::Relaxed);
                self.add(socket)
            }
        }
    }

    fn add(&mut self, socket: OwnedFd) -> Result<()> {
        let key = self.key();
        let data = epoll::EventData::new_u64(key);
        epoll::add(&self.poller, &socket, data, epoll::EventFlags::IN)?;
        self.sources[key as usize] = Source::Connection(Socket::new(socket, Floor::Epoll));
        Ok(())
    }

    fn act(&mut self, key: u64, handles: &mut Descriptors) -> Result<()> {
        match &self.sources[key as usize] {
            Source::None => Ok(()),
            Source::Connection(socket) => {
                // After an error, the reactor closes the client's connection.
                match answer(socket, handles) {
                    Ok(None) => Ok(()),
                    Ok(Some(task)) => self.add_task(task),
                    Err(_) => {
                        self.sources[key as usize] = Source::None;
                        self.free.push(key);
                        self.load.fetch_sub(1, Ordering::Relaxed);
                        Ok(())
                    }
                }
            }
            Source::BackgroundTask { .. } => {
                let source = std::mem::replace(&mut self.sources[key as usize], Source::None);
                self.free.push(key);
                if let Source::BackgroundTask { file, ready, done } = source {
                    sparkle::wait(&ready)?;
                    // The event is removed explicitly, because the client may hold another
                    // reference that would keep it in the epoll set.
                    epoll::delete(&self.poller, &ready)?;
                    sparkle::decorate(file, &done)?;
                }
                Ok(())
            }
        }
    }

    fn add_task(&mut self, task: Source) -> Result<()> {
        let key = self.key();
        if let Source::BackgroundTask { ready, .. } = &task {
            let data = epoll::EventData::new_u64(key);
            epoll::add(&self.poller, ready, data, epoll::EventFlags::IN)?;
        }
        self.sources[key as usize] = task;
        Ok(())
    }

    fn key(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.sources.push(Source::None);
            self.sources.len() as u64 - 1
        })
    }
}

/// Receives and answers one message. Returns the background task that the message starts.
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
            return Ok(Some(Source::BackgroundTask { file, ready, done }));
        }
        _ => socket.send(reply, &[])?,
    }
    Ok(None)
}

/// The key of the listening socket.
const NEW: u64 = u64::MAX;

/// The key of the event that announces new connections for this reactor.
const GIVEN: u64 = u64::MAX - 1;
