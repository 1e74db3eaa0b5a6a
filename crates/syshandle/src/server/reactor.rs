//! The threads of a server, and what they wait for.
//!
//! All threads wait in one poller; what becomes ready wakes one of them, and it does all that
//! follows: it receives, runs the method and replies. No work is handed on between threads. There
//! is one thread more than cores; when a method takes long, the sentinel starts another one in its
//! stead, and has that receive what comes on that connection. So a slow method delays nobody for
//! long.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Event, Filesystems, Interest, ManualEvent, Peer, Poller, Ready, Seqpacket,
};
use syshandle_wire::{Fault, Greeting, Guid};

use super::Factory;
use super::accept::{Entrance, refuse};
use super::activity::{Activity, Hold, What};
use super::connection::Connection;
use super::doors::InnerDoor;
use super::jobs::{Job, Outcome};
use super::sentinel::{Post, Sentinel};
use super::session::Session;
use super::shares::{Shares, Totals};
use super::timers::{Timer, Timers};
use crate::Object;
use crate::client::LIMITS;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Mutex, MutexGuard, now, thread, wait_for_event, wait_for_ready};

/// The threads of a server, and what they wait for.
pub(crate) struct Reactor {
    poller: Poller,
    sources: Mutex<HashMap<u64, Source>>,
    last_key: AtomicU64,
    pub(crate) timers: Timers,
    pub(crate) activity: Arc<Activity>,
    settings: Settings,
    pub(crate) shares: Shares,
    classes: HashMap<Guid, Factory>,
    pub(crate) sentinel: Sentinel,
    /// Jobs that end together, each to be taken by any thread.
    ending: Mutex<VecDeque<(Arc<Job>, Outcome)>>,
    /// Wakes a thread for them, or to see whether anything is left to do.
    work: Event,
    /// Wakes all threads, one after the other, to end.
    stop: ManualEvent,
    stopped: AtomicBool,
    draining: AtomicBool,
    waiting: AtomicUsize,
    threads: AtomicUsize,
    /// Threads that sleep where only one client can wake them.
    staying: AtomicUsize,
    staying_max: usize,
    /// How many threads there are unless methods are slow, and how many wait at the most: those
    /// that a burst of slow methods took don't stay for ever.
    threads_usual: usize,
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
    /// Threads, at the most.
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

/// What a thread waits for.
#[derive(Clone)]
pub(crate) enum Source {
    /// Jobs to end.
    Work,
    /// The end.
    Stop,
    /// A timer that is due.
    Alarm,
    /// A signal that asks for the end.
    Signal,
    /// Clients that connect.
    Entrance(Arc<Entrance>),
    /// Frames from a client.
    Connection(Arc<Connection>),
    /// Clients that come through a door.
    Door(Arc<InnerDoor>),
    /// An object, or a time, that a job waits for.
    Job(Arc<Job>),
    /// The death of a client that has let go.
    Process(Arc<Session>),
}

impl Reactor {
    /// A reactor without threads yet.
    pub(crate) fn new(
        settings: Settings,
        classes: HashMap<Guid, Factory>,
    ) -> io::Result<Arc<Self>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let reactor = Self {
            poller: Poller::new()?,
            sources: Mutex::default(),
            last_key: AtomicU64::new(0),
            timers: Timers::new()?,
            activity: Arc::default(),
            shares: Shares::new(settings.shares),
            settings,
            classes,
            sentinel: Sentinel::default(),
            ending: Mutex::default(),
            work: Event::new()?,
            stop: ManualEvent::new()?,
            stopped: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            staying: AtomicUsize::new(0),
            staying_max: cores,
            threads_usual: cores + 1,
        };
        reactor.add_source(
            |_| Source::Work,
            |poller, key| poller.add(&reactor.work, key, Interest::Readable),
        )?;
        reactor.add_source(
            |_| Source::Stop,
            |poller, key| poller.add(&reactor.stop, key, Interest::OnceReadable),
        )?;
        let alarm = reactor.timers.alarm();
        reactor.add_source(
            |_| Source::Alarm,
            |poller, key| poller.add(alarm, key, Interest::Readable),
        )?;
        Ok(Arc::new(reactor))
    }

    /// Adds a source and waits for it; returns its key.
    pub(crate) fn add_source(
        &self,
        make: impl FnOnce(u64) -> Source,
        watch: impl FnOnce(&Poller, u64) -> io::Result<()>,
    ) -> io::Result<u64> {
        let key = self.last_key.fetch_add(1, Ordering::Relaxed) + 1;
        self.sources().insert(key, make(key));
        watch(&self.poller, key).inspect_err(|_| {
            self.sources().remove(&key);
        })?;
        Ok(key)
    }

    /// Waits for another state of a source, or once more. Where the system has no memory for that,
    /// the source is looked at a little later as if it were ready.
    pub(crate) fn watch_again(&self, handle: BorrowedHandle<'_>, key: u64, interest: Interest) {
        if let Err(error) = self.poller.change(handle, key, interest) {
            tracing::warn!(%error, "a descriptor can't be watched now");
            self.timers.set(now() + RETRY, Timer::Look(key));
        }
    }

    /// Removes a source; `None` when somebody else was quicker.
    pub(crate) fn remove_source(&self, key: u64, handle: BorrowedHandle<'_>) -> Option<Source> {
        let source = self.sources().remove(&key)?;
        self.poller.remove(handle);
        Some(source)
    }

    /// Removes a source that isn't watched.
    pub(crate) fn forget_source(&self, key: u64) {
        self.sources().remove(&key);
    }

    /// All sources of now.
    pub(crate) fn all_sources(&self) -> Vec<(u64, Source)> {
        self.sources().iter().map(|(key, source)| (*key, source.clone())).collect()
    }

    /// Serves an object to whoever is at the other end: greets, and waits for frames.
    pub(crate) fn serve(self: &Arc<Self>, socket: Seqpacket, object: &Object) -> io::Result<()> {
        if self.is_full() {
            refuse(&socket, &Fault::Busy { limit: "clients".into() });
            return Ok(());
        }
        let greeting = Greeting { limits: LIMITS, offers: object.offers() };
        let client = socket.peer()?;
        Connection::add(self, socket, client, &greeting, Some(object.clone()))
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

    /// Whether it is about to end, and takes no new calls.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Something that keeps the server alive.
    pub(crate) fn hold(&self, what: What) -> Hold {
        self.activity.hold(what)
    }

    /// Has any thread end a job: it may take long, and others are not to wait for it.
    pub(crate) fn end_job(&self, job: Arc<Job>, outcome: Outcome) {
        self.ending().push_back((job, outcome));
        self.look_around();
    }

    /// Wakes a thread to see whether anything is left to do.
    pub(crate) fn look_around(&self) {
        surely(|| self.work.set());
    }

    /// This thread is about to run code of the user's that nobody looks after: sees to it that
    /// another one waits.
    pub(crate) fn about_to_run(self: &Arc<Self>) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            self.start_thread();
        }
    }

    /// This thread is about to run a method, which the sentinel looks after. A thread that waits
    /// while others work is woken by each message that they would come to soon: so as long as
    /// methods are short there are few.
    pub(crate) fn about_to_call(self: &Arc<Self>) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            self.start_threads(0);
        }
    }

    /// Starts as many threads as are needed beside those that are stuck in slow methods.
    pub(crate) fn start_threads(self: &Arc<Self>, stuck: usize) {
        for _ in self.threads.load(Ordering::SeqCst)..self.threads_usual + stuck {
            self.start_thread();
        }
    }

    /// Whether another thread waits, so that this one may do something else than wait.
    pub(crate) fn another_waits(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Lets this thread sleep where only one client can wake it, unless there are enough that do:
    /// those clients are served quickest, but the others share what threads are left.
    pub(crate) fn stay(&self) -> Option<Stay<'_>> {
        let one_more = |staying| (staying < self.staying_max).then_some(staying + 1);
        self.staying.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Stay(&self.staying))
    }

    /// Starts the first thread: without one, nobody is ever served.
    ///
    /// # Errors
    /// The system has no room for it.
    pub(crate) fn start_first_thread(self: &Arc<Self>) -> io::Result<()> {
        self.try_to_start_thread()
    }

    /// Starts one more thread, if there may be one.
    pub(crate) fn start_thread(self: &Arc<Self>) {
        if let Err(error) = self.try_to_start_thread() {
            tracing::warn!(%error, "no more threads can be started");
        }
    }

    fn try_to_start_thread(self: &Arc<Self>) -> io::Result<()> {
        let max = self.settings.threads_max;
        let more = |threads| (threads < max).then_some(threads + 1);
        if self.threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
            return Ok(());
        }
        let reactor = self.clone();
        let started = thread::start("syshandle", move || {
            reactor.work();
            reactor.threads.fetch_sub(1, Ordering::SeqCst);
        });
        started.map(drop).inspect_err(|_| {
            self.threads.fetch_sub(1, Ordering::SeqCst);
        })
    }

    /// Waits on this thread until the end. It runs no methods: one that doesn't come to its end
    /// must not keep the server.
    pub(crate) fn run(self: &Arc<Self>) -> io::Result<()> {
        self.start_first_thread()?;
        wait_for_event(&self.stop)
    }

    /// What each thread does until the end; or until as many others wait as are needed.
    fn work(self: &Arc<Self>) {
        let post = self.sentinel.post();
        while !self.is_stopped() {
            let one_more = |waiting| (waiting < self.threads_usual).then_some(waiting + 1);
            if self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_err() {
                return;
            }
            let ready = wait_for_ready(&self.poller);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            match ready {
                Ok(ready) => self.act(ready, &post),
                Err(error) => {
                    tracing::error!(%error, "the server can't wait for its clients");
                    self.stop();
                }
            }
            self.check_idle();
        }
    }

    fn act(self: &Arc<Self>, ready: Ready, post: &Arc<Post>) {
        // One that was removed meanwhile has no source any more.
        let Some(source) = self.sources().get(&ready.key).cloned() else { return };
        match source {
            Source::Work => {
                let _ = self.work.poll();
                self.end_jobs();
            }
            Source::Stop => {
                let handle = std::os::fd::AsFd::as_fd(&self.stop);
                self.watch_again(handle, ready.key, Interest::OnceReadable);
            }
            Source::Alarm => self.act_on_timers(post),
            Source::Signal => self.drain(),
            Source::Entrance(entrance) => entrance.let_in(self),
            Source::Connection(connection) => connection.act(self, ready, post),
            Source::Door(door) => door.let_in(self),
            Source::Job(job) => job.try_run(self),
            Source::Process(session) => session.process_died(self),
        }
    }

    /// Ends the jobs that are to end, as long as no other thread does.
    fn end_jobs(self: &Arc<Self>) {
        loop {
            let mut ending = self.ending();
            let Some((job, outcome)) = ending.pop_front() else { return };
            let more = !ending.is_empty();
            drop(ending);
            if more {
                self.look_around();
            }
            job.end(self, outcome);
        }
    }

    fn ending(&self) -> MutexGuard<'_, VecDeque<(Arc<Job>, Outcome)>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act_on_timers(self: &Arc<Self>, post: &Arc<Post>) {
        while let Some(timer) = self.timers.take_due(now()) {
            match timer {
                Timer::Job(key) => {
                    if let Some(Source::Job(job)) = self.source(key) {
                        self.end_job(job, Outcome::Expired);
                    }
                }
                Timer::Hello(key) => {
                    if let Some(Source::Connection(connection)) = self.source(key) {
                        connection.end_unless_open(self);
                    }
                }
                Timer::Look(key) => {
                    self.act(Ready { key, readable: true, writable: true }, post);
                }
                Timer::Idle => self.end_if_idle(),
                Timer::Drain => self.end_drain(),
                Timer::Accept => {
                    for (_, source) in self.all_sources() {
                        if let Source::Entrance(entrance) = source {
                            entrance.let_in(self);
                        }
                    }
                }
            }
        }
    }

    fn source(&self, key: u64) -> Option<Source> {
        self.sources().get(&key).cloned()
    }

    /// When the last one has gone, the time until the end begins.
    fn check_idle(self: &Arc<Self>) {
        if self.is_draining() && !self.activity.is_working() {
            self.end_drain();
        }
        match self.settings.idle {
            Some(Duration::ZERO) if self.activity.is_idle() => self.stop(),
            _ => {}
        }
    }

    /// Starts to count the time that nobody is there.
    pub(crate) fn count_idle_time(&self) {
        if let Some(idle) = self.settings.idle
            && !idle.is_zero()
        {
            self.timers.set(now() + idle, Timer::Idle);
        }
    }

    /// Ends, if nobody is there; else looks again later.
    fn end_if_idle(self: &Arc<Self>) {
        if self.activity.is_idle_since_last_look() {
            for (_, source) in self.all_sources() {
                if let Source::Entrance(entrance) = source
                    && !entrance.close_if_idle(self)
                {
                    return self.count_idle_time();
                }
            }
            tracing::debug!("nobody is there: the server ends");
            self.stop();
        } else {
            self.count_idle_time();
        }
    }

    /// Takes no more clients and calls, lets what runs come to its end, and ends.
    pub(crate) fn drain(self: &Arc<Self>) {
        if self.draining.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::debug!("the server was told to end");
        for (_, source) in self.all_sources() {
            if let Source::Entrance(entrance) = source {
                entrance.close(self);
            }
        }
        self.timers.set(now() + self.settings.drain, Timer::Drain);
    }

    /// Ends what has had time enough, and everything.
    fn end_drain(self: &Arc<Self>) {
        for (_, source) in self.all_sources() {
            if let Source::Job(job) = source {
                job.end(self, Outcome::Stopping);
            }
        }
        for (_, source) in self.all_sources() {
            if let Source::Connection(connection) = source {
                connection.close(self);
            }
        }
        self.stop();
    }

    /// Ends all threads, each when it has done what it is at.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        surely(|| self.stop.set());
    }

    /// Whether its threads end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<u64, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("activity", &self.activity).finish_non_exhaustive()
    }
}

/// Sets an event that nobody may miss. An eventfd that is open has no reason to refuse it, but a
/// filter of system calls may: it is tried again.
fn surely(set: impl Fn() -> io::Result<()>) {
    for _ in 0..TRIES {
        match set() {
            Ok(()) => return,
            Err(error) => tracing::error!(%error, "a thread of the server can't be woken now"),
        }
        std::thread::sleep(RETRY);
    }
}

/// What the system had no room for, it may have room for after this time.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// So often at the most: a second.
const TRIES: u32 = 20;
