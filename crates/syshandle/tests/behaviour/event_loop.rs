//! A client in an event loop of the program: nothing waits, and no thread is created.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use syshandle::ErrorKind;
use syshandle::handle::{Event, ManualEvent};
use syshandle::object::Proxy;
use syshandle::pipeline::{EventSource, PendingCall};
use syshandle_wire::{FrameKind, Header};

use crate::support::bench::{BenchAsyncClient, BenchClient};
use crate::support::process::alone;
use crate::support::raw::scripted_server;
use crate::support::world::{World, over_every_transport};
use crate::support::{LONG, threads};

/// Runs an event loop until all calls are ready. Each dispatch must be quick.
fn run<R>(source: &EventSource, calls: &[PendingCall<R>]) {
    let end = Instant::now() + LONG;
    while !calls.iter().all(PendingCall::is_ready) {
        let Ok(next) = source.dispatch() else { return };
        if calls.iter().all(PendingCall::is_ready) {
            return;
        }
        assert!(Instant::now() < end, "a call has no result");
        let next = next.unwrap_or(end).min(end).saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(next + Duration::from_millis(1)).unwrap();
        let mut polls = [PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN)];
        poll(&mut polls, Some(&timeout)).unwrap();
    }
}

#[test]
fn replies_come_by_dispatch_to_any_number_of_calls() {
    over_every_transport(|bench| {
        let source = bench.as_client().event_source().unwrap();
        let client = BenchAsyncClient::from(bench);
        let calls: Vec<_> = (0..300_u32).map(|len| client.bytes(len * 100)).collect();
        run(&source, &calls);
        for (len, call) in calls.into_iter().enumerate() {
            assert_eq!(call.wait().unwrap().len(), len * 100);
        }
    });
}

#[test]
fn room_in_the_socket_ends_the_wait_of_an_event_loop() {
    const CALLS: u32 = 64;
    let (server, client) = scripted_server::<BenchClient>();
    let source = client.as_client().event_source().unwrap();
    let client = BenchAsyncClient::from(client);
    // Together, the arguments are several times as large as the socket's buffer.
    let calls: Vec<_> = (0..CALLS).map(|_| client.echo(&[7; 30_000])).collect();
    source.dispatch().unwrap();
    // The server answers only after it has received all calls.
    let reader = std::thread::spawn(move || {
        let calls: Vec<_> = (0..CALLS).map(|_| server.receive().unwrap().header.call).collect();
        let answer = Header { call: calls[0], ..Header::new(FrameKind::Reply) };
        server.send(&answer, &0_u32.to_le_bytes(), &[]);
        server
    });
    while !calls[0].is_ready() {
        let mut polls = [PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN)];
        let ready = poll(&mut polls, Some(&Timespec::try_from(LONG).unwrap())).unwrap();
        assert_eq!(ready, 1, "only a timer would end the wait");
        source.dispatch().unwrap();
    }
    let server = reader.join().unwrap();
    assert!(calls.into_iter().next().unwrap().wait().unwrap().is_empty());
    // Nothing more is to send.
    let mut polls = [PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut polls, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap(), 0);
    drop(server);
}

#[test]
fn an_event_loop_takes_no_thread_and_never_waits_for_a_server_that_hangs() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        let server = Pid::from_raw(bench.pid().unwrap() as i32).unwrap();
        let source = bench.as_client().event_source().unwrap();
        let client = BenchAsyncClient::from(&bench.with_timeout(Duration::from_millis(50)));
        let before = threads();
        stop(server);
        // The arguments fill the socket too.
        let calls: Vec<_> = (0..200).map(|_| client.echo(&[7; 30_000])).collect();
        let next = source.dispatch().unwrap().unwrap();
        assert!(next <= Instant::now() + Duration::from_millis(50));
        run(&source, &calls);
        assert_eq!(threads(), before);
        for call in calls {
            assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::TimedOut);
        }
        kill_process(server, Signal::CONT).unwrap();
        let calls = [BenchAsyncClient::from(&bench).nothing()];
        run(&source, &calls);
        calls.into_iter().for_each(|call| call.wait().unwrap());
        assert_eq!(threads(), before);
    });
}

#[test]
fn dispatch_reports_the_servers_death() {
    let world = World::new();
    let bench = world.bench();
    let source = bench.as_client().event_source().unwrap();
    let client = BenchAsyncClient::from(&bench);
    let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
    let server = Pid::from_raw(bench.pid().unwrap() as i32).unwrap();
    let calls = [client.block(&entered, &until, 0)];
    assert!(entered.wait_timeout(LONG).unwrap());
    kill_process(server, Signal::KILL).unwrap();
    run(&source, &calls);
    assert_eq!(source.dispatch().unwrap_err().kind(), ErrorKind::Disconnected);
    for call in calls {
        let error = call.wait().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
    }
}

#[test]
fn an_awaited_call_is_woken_by_dispatch() {
    over_every_transport(|bench| {
        let source = bench.as_client().event_source().unwrap();
        let client = BenchAsyncClient::from(bench);
        let woken = std::sync::Arc::new(CountingWaker::default());
        let waker = woken.clone().into();
        let mut context = std::task::Context::from_waker(&waker);
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let mut call = std::pin::pin!(client.block(&entered, &until, 1));
        assert!(call.as_mut().poll(&mut context).is_pending());
        assert!(entered.wait_timeout(LONG).unwrap());
        until.set().unwrap();
        run(&source, &[client.nothing()]);
        let end = Instant::now() + LONG;
        while woken.0.load(std::sync::atomic::Ordering::SeqCst) == 0 {
            assert!(Instant::now() < end, "the task is not woken");
            source.dispatch().unwrap();
        }
        let std::task::Poll::Ready(result) = call.as_mut().poll(&mut context) else {
            panic!("a woken call has no result");
        };
        assert_eq!(result.unwrap().len(), 1);
    });
}

#[derive(Debug, Default)]
struct CountingWaker(std::sync::atomic::AtomicUsize);

impl std::task::Wake for CountingWaker {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Stops a process, and waits until each of its threads has stopped.
fn stop(process: Pid) {
    kill_process(process, Signal::STOP).unwrap();
    let tasks = format!("/proc/{}/task", process.as_raw_nonzero());
    let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        status.contains("State:\tT")
    };
    let deadline = Instant::now() + LONG;
    while !std::fs::read_dir(&tasks).unwrap().all(is_stopped) {
        assert!(Instant::now() < deadline, "the process does not stop");
        std::thread::yield_now();
    }
}
