//! Many clients of one server: no client is delayed by another client's slow methods or invalid
//! frames.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use syshandle::{
    handle::{Event, ManualEvent},
    object::Interface,
};
use syshandle_wire::{Body, FrameKind, Header};

use crate::support::bench::{BENCH, Bench, BenchClient, Workbench};
use crate::support::process::{THREADS_MAX, alone};
use crate::support::raw::Raw;
use crate::support::world::{Transport, World};
use crate::support::{LONG, descriptors, eventually, eventually_equal, threads};

fn event() -> Event {
    Event::new().unwrap()
}

/// A server that is stopped with SIGSTOP. Dropping this value resumes it.
pub(crate) struct Stopped(Pid);

impl Stopped {
    pub(crate) fn stop(server: u32) -> Self {
        let stopped = Self(Pid::from_raw(server as i32).unwrap());
        kill_process(stopped.0, Signal::STOP).unwrap();
        eventually("the server stands still", || {
            let tasks = std::fs::read_dir(format!("/proc/{server}/task")).unwrap().flatten();
            let mut stats =
                tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
            stats.all(|stat| stat.contains(") T "))
        });
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

#[test]
fn a_slow_method_delays_no_other_client() {
    for transport in Transport::ALL {
        let subject = transport.connect();
        let bench = &subject.bench;
        let (entered, until) = (event(), ManualEvent::new().unwrap());
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| bench.block(&entered, &until, 0).unwrap());
                assert!(entered.wait_timeout(LONG).unwrap());
                // Calls proceed from another thread of the same client, and from another client.
                bench.nothing().unwrap();
                bench.cast::<BenchClient>().unwrap().nothing().unwrap();
            }
            until.set().unwrap();
        });
    }
}

#[test]
fn methods_that_block_all_at_once_delay_another_client_together_and_not_each() {
    const BLOCKED: usize = 100;
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let number = |name| description.methods.iter().position(|method| method.name == name).unwrap();
    let open = || Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    let (entered, until) = (event(), ManualEvent::new().unwrap());
    until.set().unwrap();
    // After these calls, the server expects the method to be quick.
    (0..100).for_each(|_| drop(bench.block(&entered, &until, 0).unwrap()));
    use std::os::fd::AsFd;
    let mut rounds = (0..5).map(|_| {
        until.reset().unwrap();
        let (blocked, other): (Vec<_>, _) = ((0..BLOCKED).map(|_| open()).collect(), open());
        let server = Stopped::stop(bench.pid().unwrap());
        for raw in &blocked {
            let body = [0, 0, 1, 0, 0, 0, 0, 0];
            raw.call(1, number("block") as u32, &body, &[entered.as_fd(), until.as_fd()]);
        }
        other.call(1, number("nothing") as u32, &[], &[]);
        let start = Instant::now();
        drop(server);
        assert_eq!(other.receive().unwrap().header.kind, FrameKind::Reply);
        let took = start.elapsed();
        until.set().unwrap();
        for raw in &blocked {
            assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Reply);
        }
        println!("a call behind {BLOCKED} methods that block took {took:?}");
        took
    });
    // If each method delayed its event loop by a millisecond, each of the two loops would be
    // delayed by 50 ms. On a busy machine, some rounds may take longer for other reasons.
    assert!(rounds.any(|took| took < Duration::from_millis(50)));
}

#[test]
fn calls_that_come_together_run_together() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let block = description.methods.iter().position(|method| method.name == "block").unwrap();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    let (until, entered): (_, Vec<_>) =
        (ManualEvent::new().unwrap(), (0..20).map(|_| event()).collect());
    use std::os::fd::AsFd;
    for (call, entered) in entered.iter().enumerate() {
        let body = [0, 0, 1, 0, 0, 0, 0, 0];
        raw.call(call as u32, block as u32, &body, &[entered.as_fd(), until.as_fd()]);
    }
    for entered in &entered {
        assert!(entered.wait_timeout(LONG).unwrap());
    }
    bench.nothing().unwrap();
    until.set().unwrap();
    for _ in &entered {
        assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Reply);
    }
}

#[test]
fn a_flooding_client_delays_no_other_client() {
    let world = World::new();
    let bench = world.bench();
    let iid = <dyn Bench as Interface>::DESCRIPTION.iid;
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let raw = Raw::open(&world.socket(), BENCH.clsid(), iid);
                let end = Instant::now() + LONG;
                while !done.load(std::sync::atomic::Ordering::SeqCst) && Instant::now() < end {
                    raw.send(&Header::new(FrameKind::Cancel), &[], &[]);
                }
            });
        }
        for _ in 0..200 {
            bench.nothing().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn a_client_that_reads_no_replies_delays_no_other_client() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let bytes = description.methods.iter().position(|method| method.name == "bytes").unwrap();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    for call in 0..60 {
        raw.call(call, bytes as u32, &30_000_u32.to_le_bytes(), &[]);
    }
    for _ in 0..50 {
        bench.nothing().unwrap();
    }
    // When the client reads again, it receives all replies.
    let mut calls: Vec<_> = (0..60).map(|_| raw.receive().unwrap().header.call).collect();
    calls.sort();
    assert_eq!(calls, (0..60).collect::<Vec<_>>());
}

#[test]
fn replies_that_a_client_never_reads_count_as_calls() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let bytes = description.methods.iter().position(|method| method.name == "bytes").unwrap();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    // Each reply is ready at once and fits in a frame, but the socket holds only a few of them.
    let header = Header { code: bytes as u32, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
    let body = 30_000_u32.to_le_bytes();
    let header = Header { body: Body::Inline { len: 4 }, ..header };
    let taken = (0..100_000)
        .find(|call| {
            let header = Header { call: *call, ..header.clone() };
            raw.send_as_it_is(&header, &body, &[]).is_err()
        })
        .expect("the server doesn't owe replies without end");
    // The server reads calls until 64 replies are pending; further calls wait in the socket.
    assert!(taken < 2_000, "{taken}");
    raw.ends();
    bench.nothing().unwrap();
}

#[test]
fn a_crowd_at_the_entrance_lets_those_inside_have_their_turn() {
    const CROWD: u32 = 500;
    syshandle_os::raise_descriptor_limit();
    let world = World::with_environment(&[(THREADS_MAX, "1")]);
    let bench = world.bench();
    let before = bench.descriptors().unwrap();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let count = description.methods.iter().position(|method| method.name == "descriptors").unwrap();
    let inside = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    let server = Stopped::stop(bench.pid().unwrap());
    let deadline = Instant::now() + LONG;
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| syshandle_os::Seqpacket::connect(&world.socket(), deadline).unwrap())
        .collect();
    inside.call(7, count as u32, &[], &[]);
    drop(server);
    // The result is the number of descriptors that the server had open when it ran the method.
    let reply = inside.receive().unwrap();
    let open = u32::from_le_bytes(reply.body.try_into().unwrap());
    assert!(open < before + CROWD, "all of the crowd came first: {open} descriptors");
    drop(crowd);
    bench.nothing().unwrap();
}

#[test]
fn a_silent_client_is_not_served_and_delays_no_other_client() {
    let world = World::new();
    let bench = world.bench();
    let silent: Vec<_> = (0..20).map(|_| Raw::greeted(&world.socket())).collect();
    for _ in 0..20 {
        bench.nothing().unwrap();
    }
    drop(silent);
    bench.nothing().unwrap();
}

#[test]
fn hello_and_calls_that_come_before_the_client_is_let_in_are_taken_in_order() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let count = description.methods.iter().position(|method| method.name == "descriptors").unwrap();
    let server = Stopped::stop(bench.pid().unwrap());
    let raws: Vec<_> = (0..8).map(|_| Raw::connected(&world.socket())).collect();
    for raw in &raws {
        raw.hello(BENCH.clsid(), description.iid);
        raw.call(1, count as u32, &[], &[]);
        raw.call(2, count as u32, &[], &[]);
    }
    // A call that arrives before the hello does not run, and the server ends the connection.
    let rash = Raw::connected(&world.socket());
    rash.call(1, count as u32, &[], &[]);
    rash.hello(BENCH.clsid(), description.iid);
    drop(server);
    for raw in &raws {
        let kinds = [FrameKind::Greeting, FrameKind::Reply, FrameKind::Reply];
        assert_eq!(kinds.map(|_| raw.receive().unwrap().header.kind), kinds);
    }
    assert_eq!(rash.receive().unwrap().header.kind, FrameKind::Greeting);
    assert!(rash.receive().is_none());
}

#[test]
fn a_late_hello_is_accepted() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let raw = Raw::greeted(&world.socket());
    // By now the server has checked whether the hello has arrived.
    (0..20).for_each(|_| bench.nothing().unwrap());
    raw.hello(BENCH.clsid(), description.iid);
    (0..20).for_each(|_| bench.nothing().unwrap());
    raw.call(1, 0, &[], &[]);
    assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Reply);
}

#[test]
fn clients_that_say_hello_and_are_gone_leave_nothing() {
    let world = World::new();
    let bench = world.bench();
    let before = bench.descriptors().unwrap();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let server = Stopped::stop(bench.pid().unwrap());
    for _ in 0..20 {
        let raw = Raw::connected(&world.socket());
        raw.hello(BENCH.clsid(), description.iid);
    }
    drop(server);
    eventually_equal(&before, || bench.descriptors().unwrap());
}

#[test]
fn each_client_of_a_class_has_an_object_of_its_own() {
    let world = World::new();
    let (first, second) = (world.bench(), world.bench());
    assert_eq!(first.pid().unwrap(), second.pid().unwrap());
    first.keep(&std::fs::File::open("/dev/null").unwrap()).unwrap();
    assert!(second.give_back().unwrap().is_empty());
    assert_eq!(first.give_back().unwrap().len(), 1);
}

#[test]
fn the_server_of_an_in_process_object_ends_with_its_last_call() {
    alone(|| {
        let before = (threads(), descriptors());
        for _ in 0..10 {
            let bench = BenchClient::in_process(Workbench::default()).unwrap();
            let (entered, until) = (event(), ManualEvent::new().unwrap());
            thread::scope(|scope| {
                let hasty = bench.with_timeout(Duration::from_millis(10));
                for _ in 0..4 {
                    let (hasty, entered, until) = (hasty.clone(), &entered, &until);
                    scope.spawn(move || hasty.block(entered, until, 0).unwrap_err());
                }
            });
            // The methods continue after their client has disconnected.
            drop(bench);
            until.set().unwrap();
        }
        eventually_equal(&before, || (threads(), descriptors()));
    });
}
