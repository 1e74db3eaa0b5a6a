//! A server at work: its loops, the threads that run them, and what they share.
//!
//! A server has a loop for each core, with its part of the clients; an object of this process one.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool as SignalFlag, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Event, Filesystems, Interest, ManualEvent, Peer, ProcessMark, Ready, Seqpacket,
};
use syshandle_wire::{Fault, Greeting, Guid};

use super::Factory;
use super::accept::{refuse, written};
use super::activity::{Activity, Hold, What};
use super::connection::{Added, Client, Connection};
use super::crew::Crew;
use super::event_loop::{EventLoop, NO_LOOP, Source};
use super::jobs::{Job, Outcome};
use super::receiving::Acted;
use super::sentinel::{Post, Sentinel};
use super::shares::{Shares, Totals};
use super::slow::MethodTable;
use super::task::Code;
use super::timers::{Timer, Timers};
use crate::client::LIMITS;
use crate::door::Known;
use crate::guard::Guarded;
use crate::peer_socket::PeerSocket;
use crate::setup::failed;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{Mutex, MutexGuard, now, wait_for_event};
use crate::{Object, Result, door};

/// A server at work.
pub(crate) struct Reactor {
    owner: ProcessMark,
    loops: Vec<EventLoop>,
    pub(crate) crew: Crew,
    pub(crate) sentinel: Sentinel,
    pub(crate) timers: Timers,
    pub(crate) activity: Arc<Activity>,
    pub(super) settings: Settings,
    pub(crate) shares: Shares,
    classes: Guarded<HashMap<Guid, Factory>>,
    pub(super) methods: MethodTable,
    /// Jobs that end together, each to be taken by whoever runs the first loop.
    ending: Mutex<VecDeque<(Arc<Job>, Outcome)>>,
    /// Wakes a thread for them, or to see whether anything is left to do.
    work: Event,
    /// Wakes the threads of all loops, to end.
    pub(super) stop: ManualEvent,
    pub(super) stopped: AtomicBool,
    /// Set by the signal handler.
    pub(super) told_to_end: Arc<SignalFlag>,
    pub(super) draining: AtomicBool,
    /// All connections were closed, to end.
    pub(super) closed: AtomicBool,
    /// Jobs that have yet to be told that the server ends.
    pub(super) untold: AtomicUsize,
    /// Threads that sleep where only one client can wake them.
    staying: AtomicUsize,
    staying_max: usize,
}

/// A thread sleeps where only one client can wake it, until this is dropped.
pub(crate) struct Stay<'r>(&'r AtomicUsize);

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a reactor behaves.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Loops: as many as cores, where there may be many clients.
    pub(crate) loops: usize,
    /// Methods that run at once, at the most.
    pub(crate) threads_max: usize,
    /// Connections and doors, at the most.
    pub(crate) clients_max: usize,
    /// How long nobody must have been there before it ends; `None` for never.
    pub(crate) idle: Option<Duration>,
    /// How long what runs may still take when it is told to end.
    pub(crate) drain: Duration,
    /// Whose files are taken from clients.
    pub(crate) filesystems: Filesystems,
    /// How much there is, of which each client has a share.
    pub(crate) shares: Totals,
}

impl Reactor {
    /// The loop of all that isn't a client's.
    pub(crate) const FIRST: usize = 0;

    /// A reactor without threads yet.
    pub(crate) fn new(settings: Settings, classes: HashMap<Guid, Factory>) -> Result<Arc<Self>> {
        // Its threads must not wait for what clients do with their handles.
        syshandle_os::prepare_to_serve();
        let loops = settings.loops.min(settings.threads_max).min(EventLoop::MAX);
        let no_event = failed("eventfd2", NO_LOOP);
        let stop = ManualEvent::new().map_err(no_event)?;
        let reactor = Self {
            owner: ProcessMark::current(),
            loops: (0..loops).map(|index| EventLoop::new(index, &stop)).collect::<Result<_>>()?,
            crew: Crew::new(settings.threads_max, loops),
            sentinel: Sentinel::default(),
            timers: Timers::new().map_err(failed("timerfd_create", NO_LOOP))?,
            activity: Arc::default(),
            shares: Shares::new(settings.shares),
            settings,
            classes: Guarded::new(classes),
            methods: MethodTable::default(),
            ending: Mutex::default(),
            work: Event::new().map_err(no_event)?,
            stop,
            stopped: AtomicBool::new(false),
            told_to_end: Arc::default(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            untold: AtomicUsize::new(0),
            staying: AtomicUsize::new(0),
            staying_max: loops,
        };
        let first = reactor.event_loop(Self::FIRST);
        let no_watch = failed("epoll_ctl", NO_LOOP);
        first
            .add(
                |_| Source::Work,
                |poller, key| poller.add(&reactor.work, key, Interest::EachReadable),
            )
            .map_err(no_watch)?;
        let alarm = reactor.timers.alarm();
        first
            .add(|_| Source::Alarm, |poller, key| poller.add(alarm, key, Interest::EachReadable))
            .map_err(no_watch)?;
        Ok(Arc::new(reactor))
    }

    /// Starts the thread of the first loop; the others start when they have somebody to serve.
    ///
    /// # Errors
    /// The system has no room for it.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        self.event_loop(Self::FIRST).is_run.store(true, Ordering::SeqCst);
        self.crew.hand_over(self, Self::FIRST).map(drop)
    }

    /// Starts, and stays on this thread until the end. It runs no methods: one that doesn't come to
    /// its end must not keep the server.
    pub(crate) fn run(self: &Arc<Self>) -> io::Result<()> {
        self.sentinel.run(self)
    }

    /// Waits for the end.
    pub(super) fn wait_for_end(&self) -> io::Result<()> {
        wait_for_event(&self.stop)
    }

    /// Returns whether this process is the one that the reactor serves in, and not a forked copy.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.owner.is_current()
    }

    /// Ends a forked copy of this process whose thread would go on as one of the server's: its poller
    /// and sockets are shared with the server, and it would answer the server's clients.
    #[inline]
    pub(crate) fn end_copy(&self) {
        if !self.is_own() {
            abort_copy();
        }
    }

    /// A loop, by its index.
    pub(crate) fn event_loop(&self, index: usize) -> &EventLoop {
        &self.loops[index]
    }

    /// The loop of a source.
    pub(crate) fn loop_of(&self, key: u64) -> &EventLoop {
        self.event_loop(EventLoop::index_of(key))
    }

    /// The loop that has the fewest clients, with a thread that runs it.
    pub(crate) fn quietest_loop(self: &Arc<Self>) -> &EventLoop {
        let quietest = (0..self.loops.len()).min_by_key(|index| self.loops[*index].load());
        let Some(index) = quietest.filter(|index| *index != Self::FIRST) else {
            return self.event_loop(Self::FIRST);
        };
        let event_loop = self.event_loop(index);
        if !event_loop.is_run.load(Ordering::SeqCst)
            && !event_loop.is_run.swap(true, Ordering::SeqCst)
        {
            // Without a thread now, the sentinel or the first thread that is free finds one.
            let _ = self.crew.hand_over(self, index);
        }
        event_loop
    }

    /// A loop that has nothing to do.
    pub(super) fn sleeping_loop(&self) -> Option<&EventLoop> {
        self.loops.iter().find(|event_loop| event_loop.sleeps())
    }

    /// Waits for another state of a source, or once more. Where the system has no memory for that,
    /// the source is looked at a little later as if it were ready.
    pub(crate) fn watch_again(&self, handle: BorrowedHandle<'_>, key: u64, interest: Interest) {
        if let Err(error) = self.loop_of(key).poller().change(handle, key, interest) {
            self.look_later(key, &error);
        }
    }

    /// A source can't be waited for now: it is looked at a little later as if it were ready.
    pub(crate) fn look_later(&self, key: u64, error: &io::Error) {
        crate::log::warn!(%error, "a descriptor can't be watched now");
        self.timers.set(now() + RETRY, Timer::Look(key));
    }

    /// Removes a source; `None` when somebody else was quicker.
    pub(crate) fn remove_source(&self, key: u64, handle: BorrowedHandle<'_>) -> Option<Source> {
        let source = self.loop_of(key).forget(key)?;
        self.loop_of(key).poller().remove(handle);
        Some(source)
    }

    /// Removes a source that isn't watched.
    pub(crate) fn forget_source(&self, key: u64) {
        self.loop_of(key).forget(key);
    }

    /// All sources of now.
    pub(crate) fn all_sources(&self) -> Vec<(u64, Source)> {
        self.loops.iter().flat_map(EventLoop::all).collect()
    }

    /// Serves an object to the process that made the socket: greets, and waits for frames.
    pub(crate) fn serve(self: &Arc<Self>, socket: Seqpacket, object: &Object) -> io::Result<()> {
        let client = Client::OfSocket(socket.peer()?);
        self.greet(socket, client, object).map(drop)
    }

    /// Serves an object to a client that came through a door. The connection is made here, and its
    /// other end goes through the client's return channel.
    pub(super) fn serve_attached(
        self: &Arc<Self>,
        client: Known,
        channel: &Arc<PeerSocket>,
        object: &Object,
    ) -> io::Result<()> {
        if self.is_full() {
            refuse(channel, &Fault::Busy { limit: "clients".into() });
            return Ok(());
        }
        let (ours, theirs) = Seqpacket::pair()?;
        // The client learns from the kernel who greets.
        theirs.name_senders()?;
        let client = Client::Attached(client, channel.clone());
        let Some(Added { connection, .. }) = self.greet(ours, client, object)? else {
            return Ok(());
        };
        let sent = door::send_attach(channel, theirs.as_fd());
        sent.inspect_err(|_| connection.end(self, false))
    }

    fn greet(
        self: &Arc<Self>,
        socket: Seqpacket,
        client: Client,
        object: &Object,
    ) -> io::Result<Option<Added>> {
        let greeting = written(&Greeting { limits: LIMITS, offers: object.offers() });
        Connection::add(self, socket, client, &greeting, Some(object.clone()), None)
    }

    /// Whether there are as many connections and doors as there may be.
    pub(crate) fn is_full(&self) -> bool {
        self.activity.presence() >= self.settings.clients_max
    }

    /// What makes the objects of a class.
    pub(crate) fn class(&self, clsid: Guid) -> Option<&Factory> {
        self.classes.get(&clsid)
    }

    /// How it behaves.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Something that keeps the server alive.
    pub(crate) fn hold(&self, what: What) -> Hold {
        self.activity.hold(what)
    }

    /// Has the thread of the first loop end a job: it may take long, and others are not to wait for
    /// it.
    pub(crate) fn end_job(&self, job: Arc<Job>, outcome: Outcome) {
        self.ending().push_back((job, outcome));
        self.look_around();
    }

    /// Wakes a thread to see whether anything is left to do.
    pub(crate) fn look_around(&self) {
        surely(|| self.work.set_unshared());
    }

    /// Has a source acted on once more, by the thread of its loop, which is woken for it.
    pub(super) fn remind(&self, key: u64) {
        let event_loop = self.loop_of(key);
        event_loop.remind(key);
        event_loop.wake(&self.stop);
    }

    /// Lets this thread sleep where only one client can wake it, unless there are enough that do.
    pub(crate) fn stay(&self) -> Option<Stay<'_>> {
        let one_more = |staying| (staying < self.staying_max).then_some(staying + 1);
        self.staying.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Stay(&self.staying))
    }

    /// Acts on what has become ready.
    pub(super) fn act(self: &Arc<Self>, ready: Ready, post: &Post) -> Acted {
        // One that was removed meanwhile has no source any more.
        match self.loop_of(ready.key).source(ready.key) {
            None => Acted::Otherwise,
            Some(Source::Connection(connection)) => connection.act(self, ready, post),
            Some(Source::Job(job)) => job.act(self, post),
            Some(Source::Door(door)) => door.act(self, post),
            Some(Source::Work) => {
                let _ = self.work.poll();
                self.end_jobs(post)
            }
            Some(Source::Entrance(entrance)) => match entrance.let_in(self) {
                Some(connection) => connection.begin(self, post),
                None => Acted::Otherwise,
            },
            Some(source) => {
                // It may come to the user's code.
                let running = post.start_running(self);
                self.act_on(source);
                Acted::after(running, self)
            }
        }
    }

    fn act_on(self: &Arc<Self>, source: Source) {
        match source {
            Source::Alarm => self.act_on_timers(),
            Source::Signal => self.drain(),
            Source::Process(session) => session.process_died(self),
            // That the end has come is seen after whatever was done.
            Source::Stop => {}
            // They are acted on in their own ways.
            Source::Connection(_)
            | Source::Entrance(_)
            | Source::Door(_)
            | Source::Job(_)
            | Source::Work => {}
        }
    }

    /// Ends the jobs that are to end, on this thread or on workers.
    fn end_jobs(self: &Arc<Self>, post: &Post) -> Acted {
        loop {
            let mut ending = self.ending();
            let Some((job, outcome)) = ending.pop_front() else { return Acted::Otherwise };
            let more = !ending.is_empty();
            drop(ending);
            let Some(running) = self.sentinel.try_start_unknown(post, self, job.share()) else {
                self.crew.add_task(self, Code::EndJob(job, outcome).into());
                continue;
            };
            if more {
                // If this one takes long, another thread goes on.
                self.look_around();
            }
            self.end_job_now(&job, outcome);
            if !running.end(self) {
                return Acted::Lost;
            }
        }
    }

    /// Ends a job, which runs user code.
    pub(super) fn end_job_now(self: &Arc<Self>, job: &Job, outcome: Outcome) {
        job.end(self, outcome);
        if outcome == Outcome::Stopping {
            self.job_was_told();
        }
    }

    fn ending(&self) -> MutexGuard<'_, VecDeque<(Arc<Job>, Outcome)>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act_on_timers(self: &Arc<Self>) {
        while let Some(timer) = self.timers.take_due(now()) {
            match timer {
                Timer::Job(key) => {
                    if let Some(Source::Job(job)) = self.loop_of(key).source(key) {
                        self.end_job(job, Outcome::Expired);
                    }
                }
                Timer::Hello(key) => {
                    if let Some(Source::Connection(connection)) = self.loop_of(key).source(key) {
                        connection.end_unless_open(self);
                    }
                }
                Timer::FreeMemory(key) => {
                    if let Some(Source::Connection(connection)) = self.loop_of(key).source(key) {
                        connection.free_memory(self);
                    }
                }
                Timer::Look(key) => match self.loop_of(key).source(key) {
                    Some(Source::Connection(connection)) => connection.rejoin(self),
                    Some(Source::Job(job)) => self.crew.add_task(self, Code::Job(job).into()),
                    Some(Source::Door(door)) => drop(door.let_in(self)),
                    Some(source) => self.act_on(source),
                    None => {}
                },
                Timer::Idle => self.end_if_idle(),
                Timer::Drain => self.tell_jobs(),
                Timer::Stop => self.finish(),
                Timer::Accept => {
                    for (_, source) in self.all_sources() {
                        if let Source::Entrance(entrance) = source {
                            entrance.rejoin(self);
                        }
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("activity", &self.activity).finish_non_exhaustive()
    }
}

#[cold]
fn abort_copy() -> ! {
    crate::log::error!(
        "a process that a method forked came back from the method: it is ended, since it would \
         serve the clients of its parent"
    );
    std::process::abort();
}

/// Sets an event that nobody may miss. An eventfd that is open has no reason to refuse it, but a
/// filter of system calls may: it is tried again.
pub(super) fn surely(set: impl Fn() -> io::Result<()>) {
    for _ in 0..TRIES {
        match set() {
            Ok(()) => return,
            Err(error) => crate::log::error!(%error, "a thread of the server can't be woken now"),
        }
        std::thread::sleep(RETRY);
    }
}

/// What the system had no room for, it may have room for after this time.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// So often at the most: a second.
const TRIES: u32 = 20;
