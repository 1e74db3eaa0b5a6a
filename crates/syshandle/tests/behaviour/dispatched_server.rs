//! A server in an event loop of the program: one descriptor, no thread, and nothing that a client
//! does stops the event loop.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use syshandle::direct::{connect, from_socket, prepare, socket_pair};
use syshandle::handle::{Event, ManualEvent};
use syshandle::object::{Interface, Proxy};
use syshandle::serving::ServerEventSource;
use syshandle::wait::TimerOutcome;
use syshandle::{Context, ErrorKind, Result, Server, class, interface};

use crate::support::bench::{
    BENCH, Bench, BenchAsyncClient, BenchClient, CounterClient, Listener, ListenerClient,
    Workbench, pattern,
};
use crate::support::process::alone;
use crate::support::raw::Raw;
use crate::support::world::{World, file};
use crate::support::{LONG, descriptors, drain, eventually_equal, pipe, threads};

/// A server in a separate folder, which the test's thread dispatches.
struct Subject {
    source: ServerEventSource,
    folder: tempfile::TempDir,
}

impl Subject {
    fn new(set: impl FnOnce(Server) -> Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::new().class(BENCH, Workbench::default).never_exit();
        let server = set(server.path(folder.path().join("socket")));
        Self { source: server.event_source().unwrap(), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Dispatches while a function runs on another thread. Returns its result.
    fn serve<T: Send>(&mut self, client: impl FnOnce() -> T + Send) -> T {
        let (done, is_done) = (ManualEvent::new().unwrap(), AtomicBool::new(false));
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                let result = client();
                is_done.store(true, Ordering::SeqCst);
                done.set().unwrap();
                result
            });
            while !is_done.load(Ordering::SeqCst) {
                wait_for(&[&self.source.as_fd(), &done]);
                assert!(self.source.dispatch().unwrap().is_continue());
            }
            client.join().unwrap()
        })
    }

    /// Dispatches until the server has ended. Only its descriptor wakes the event loop.
    fn run_to_the_end(&mut self) {
        while self.source.dispatch().unwrap().is_continue() {
            wait_for(&[&self.source.as_fd()]);
        }
    }
}

/// Waits until a descriptor is readable.
pub(crate) fn wait_for(descriptors: &[&dyn AsFd]) {
    let mut polls: Vec<_> = descriptors
        .iter()
        .map(|one| PollFd::from_borrowed_fd(one.as_fd(), PollFlags::IN))
        .collect();
    let timeout = Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 };
    assert!(poll(&mut polls, Some(&timeout)).unwrap() > 0, "nothing is ready");
}

#[test]
fn several_clients_are_served_without_a_thread() {
    const CLIENTS: usize = 4;
    alone(|| {
        // Then no thread closes handles either.
        prepare().unwrap();
        let mut subject = Subject::new(|server| server);
        let path = subject.path();
        // The threads of the clients exist before the first measurement.
        let (most, start) = (Mutex::new(0), std::sync::Barrier::new(CLIENTS + 1));
        let client = || {
            start.wait();
            start.wait();
            let bench: BenchClient = connect(&path).unwrap();
            for len in [0, 100, 100_000, 1_000_000] {
                assert_eq!(bench.echo(&pattern(len)).unwrap(), pattern(len));
            }
            let done = bench.finish(&file(), &Event::new().unwrap()).unwrap();
            assert!(done.wait_timeout(LONG).unwrap());
            // The object of a method, and references to it.
            let (reader, writer) = pipe();
            let counter = bench.counter(&writer).unwrap();
            drop(writer);
            assert_eq!((counter.add(2).unwrap(), counter.add(3).unwrap()), (2, 5));
            bench.keep_counter(&counter).unwrap();
            bench.release_counter().unwrap();
            drop(counter);
            assert_eq!(drain(reader), "");
            // A timer, and a background task that waits for an event.
            for (by_event, expected) in [(false, "Elapsed"), (true, "Fired")] {
                let (reader, writer) = pipe();
                match by_event {
                    false => bench.job_after(&Duration::from_millis(5), &writer).unwrap(),
                    true => {
                        let event = Event::new().unwrap();
                        bench.job(&event, &LONG, &writer).unwrap();
                        event.set().unwrap();
                    }
                }
                drop(writer);
                assert_eq!(drain(reader), expected);
            }
            let mut most = most.lock().unwrap();
            *most = (*most).max(threads());
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            start.wait();
            // `serve` starts one thread, which waits for the clients.
            let before = threads() + 1;
            subject.serve(|| {
                start.wait();
                clients.into_iter().for_each(|client| client.join().unwrap());
            });
            assert!(*most.lock().unwrap() <= before, "{most:?} instead of {before} threads");
        });
    });
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b61")]
trait Places {
    fn plain(&self) -> Result<()>;
    #[blocking]
    fn blocking(&self) -> Result<()>;
    fn start_task(&self, context: &Context, done: Event) -> Result<()>;
}

class! { PLACES: Places = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d61"; }

/// Records the thread of each piece of user code.
struct Recorder(Arc<Mutex<Vec<ThreadId>>>);

impl Recorder {
    fn record(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

impl Places for Recorder {
    fn plain(&self) -> Result<()> {
        self.record();
        Ok(())
    }

    fn blocking(&self) -> Result<()> {
        self.record();
        Ok(())
    }

    fn start_task(&self, context: &Context, done: Event) -> Result<()> {
        let recorder = Self(self.0.clone());
        context.on_timer(Duration::ZERO, move |_| {
            recorder.record();
            done.set().unwrap();
        })?;
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.record();
    }
}

#[test]
fn all_user_code_runs_on_the_thread_that_dispatches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let places = Arc::new(Mutex::new(Vec::new()));
    let make = {
        let places = places.clone();
        move || {
            let recorder = Recorder(places.clone());
            recorder.record();
            recorder
        }
    };
    let server = Server::new().class(PLACES, make).path(&path).never_exit();
    let mut subject = Subject { source: server.event_source().unwrap(), folder };
    subject.serve(|| {
        let client: PlacesClient = connect(&path).unwrap();
        client.plain().unwrap();
        for _ in 0..3 {
            client.blocking().unwrap();
        }
        let done = Event::new().unwrap();
        client.start_task(&done).unwrap();
        assert!(done.wait_timeout(LONG).unwrap());
    });
    drop(subject);
    let places = places.lock().unwrap();
    // The constructor, five methods, and the callback; the destructors of the callback's value and
    // of the object.
    assert_eq!(places.len(), 8);
    assert!(places.iter().all(|place| *place == thread::current().id()));
}

struct Echo;

impl Listener for Echo {
    fn hear(&self, text: String) -> Result<String> {
        Ok(format!("heard {text}"))
    }
}

#[test]
fn one_thread_makes_calls_and_serves_the_callbacks_of_these_calls() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        let replies = bench.as_client().event_source().unwrap();
        // A server without classes serves the program's own objects.
        let mut objects = Server::new().never_exit().event_source().unwrap();
        let listener: ListenerClient = objects.serve::<dyn Listener, _>(Echo).unwrap();
        let before = threads();
        let call = BenchAsyncClient::from(&bench).tell(&listener, "news");
        while !call.is_ready() {
            wait_for(&[&replies, &objects]);
            replies.dispatch().unwrap();
            assert!(objects.dispatch().unwrap().is_continue());
        }
        assert_eq!(call.wait().unwrap(), "heard news");
        assert_eq!(threads(), before);
    });
}

#[test]
fn a_dispatched_server_gives_numbers_of_objects_and_releases_the_objects() {
    alone(|| {
        let mut subject = Subject::new(|server| server);
        let path = subject.path();
        subject.serve(|| {
            let bench: BenchClient = connect(&path).unwrap();
            bench.nothing().unwrap();
            let before = descriptors();
            let counters = bench.counters(1_000).unwrap();
            assert_eq!(counters[7].add(3).unwrap(), 3);
            bench.keep_counter(&counters[7]).unwrap();
            assert_eq!(bench.kept_counter().unwrap().unwrap().add(1).unwrap(), 4);
            let cast: CounterClient = counters[8].cast().unwrap();
            assert_eq!(descriptors(), before);
            drop(counters);
            eventually_equal(&2, || bench.live_counters().unwrap());
            assert_eq!(cast.add(5).unwrap(), 5);
            bench.release_counter().unwrap();
            drop(cast);
            eventually_equal(&0, || bench.live_counters().unwrap());
            // The end of the connection releases the others.
            let other: BenchClient = connect(&path).unwrap();
            let counters = other.counters(1_000).unwrap();
            drop((other, counters));
            eventually_equal(&0, || bench.live_counters().unwrap());
        });
    });
}

#[test]
fn a_client_and_its_server_share_one_thread() {
    let (ours, theirs) = socket_pair().unwrap();
    let server = Server::new().class(BENCH, Workbench::default).socket(ours);
    let mut source = server.event_source().unwrap();
    let bench: BenchClient = from_socket(theirs).unwrap();
    let replies = bench.as_client().event_source().unwrap();
    let client = BenchAsyncClient::from(&bench);
    let calls: Vec<_> = (0..200_u8).map(|number| client.echo(&[number])).collect();
    while !calls.iter().all(|call| call.is_ready()) {
        wait_for(&[&replies, &source]);
        replies.dispatch().unwrap();
        let _ = source.dispatch().unwrap();
    }
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.wait().unwrap(), [number]);
    }
    // The server of a connection ends with the connection.
    drop((client, bench, replies));
    while source.dispatch().unwrap().is_continue() {
        wait_for(&[&source]);
    }
}

#[test]
fn an_idle_server_ends_although_only_its_descriptor_wakes_the_event_loop() {
    let mut subject = Subject::new(|server| server.idle_timeout(Duration::from_millis(20)));
    let path = subject.path();
    subject.serve(|| connect::<BenchClient>(&path).unwrap().nothing().unwrap());
    subject.run_to_the_end();
    assert!(!path.exists());
    assert!(subject.source.dispatch().unwrap().is_break());
}

#[test]
fn sigterm_ends_a_dispatched_server_after_its_background_tasks() {
    alone(|| {
        let mut subject = Subject::new(|server| server.drain_timeout(Duration::from_millis(30)));
        subject.source.end_on_sigterm().unwrap();
        let path = subject.path();
        let (reader, writer) = pipe();
        let bench = subject.serve(|| {
            let bench: BenchClient = connect(&path).unwrap();
            bench.job_after(&LONG, &writer).unwrap();
            drop(writer);
            bench
        });
        kill_process(getpid(), Signal::TERM).unwrap();
        subject.run_to_the_end();
        assert_eq!(drain(reader), "Stopping");
        assert!(!path.exists());
        assert_eq!(bench.nothing().unwrap_err().kind(), ErrorKind::Disconnected);
    });
}

#[test]
fn a_method_shuts_a_dispatched_server_down() {
    let mut subject = Subject::new(|server| server);
    let (path, server) = (subject.path(), subject.source.server());
    subject.serve(|| connect::<BenchClient>(&path).unwrap().nothing().unwrap());
    assert_eq!((server.stats().threads, server.stats().event_loops), (0, 1));
    server.shutdown();
    subject.run_to_the_end();
    assert_eq!(server.stats().clients, 0);
}

#[test]
fn a_client_that_floods_the_server_stops_neither_dispatch_nor_other_clients() {
    let mut subject = Subject::new(|server| server.max_clients(64));
    let path = subject.path();
    let iid = <dyn Bench>::DESCRIPTION.iid;
    subject.serve(|| {
        let stop = AtomicBool::new(false);
        let flood = |reads: bool| {
            while !stop.load(Ordering::SeqCst) {
                let raw = Raw::open(&path, BENCH.clsid(), iid);
                // Without reading, the socket becomes full after some replies. The server then
                // ends the connection at the limit of pending replies.
                for call in 1.. {
                    if stop.load(Ordering::SeqCst) || raw.try_call(call, 0).is_err() {
                        break;
                    }
                    if reads {
                        let _ = raw.receive();
                    }
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| flood(false));
            scope.spawn(|| flood(true));
            let bench: BenchClient = connect(&path).unwrap();
            for number in 0..200_u8 {
                assert_eq!(bench.echo(&[number]).unwrap(), [number]);
            }
            stop.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn dropping_the_source_ends_the_server_at_once() {
    let mut subject = Subject::new(|server| server.drain_timeout(LONG));
    let path = subject.path();
    let ((task, of_task), (object, of_object)) = (pipe(), pipe());
    let (bench, counter) = subject.serve(|| {
        let bench: BenchClient = connect(&path).unwrap();
        bench.job_after(&LONG, &of_task).unwrap();
        let counter = bench.counter(&of_object).unwrap();
        assert_eq!(counter.add(1).unwrap(), 1);
        drop((of_task, of_object));
        (bench, counter)
    });
    let began = Instant::now();
    drop(subject.source);
    assert!(began.elapsed() < LONG);
    assert_eq!(drain(task), format!("{:?}", TimerOutcome::Stopping));
    assert_eq!(drain(object), "");
    for error in [bench.nothing().unwrap_err(), counter.add(1).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }
    // The path is free for the next server.
    let server = Server::new().class(BENCH, Workbench::default).path(&path);
    drop(server.event_source().unwrap());
}
