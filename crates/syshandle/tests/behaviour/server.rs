//! Many clients of one server: nobody waits for another one's slow method or rubbish.

use std::thread;
use std::time::Duration;

use syshandle::{Event, Interface, ManualEvent};
use syshandle_wire::{FrameKind, Header};

use crate::support::bench::{BENCH, Bench, BenchClient, Workbench};
use crate::support::process::alone;
use crate::support::raw::Raw;
use crate::support::world::{Transport, World};
use crate::support::{LONG, descriptors, eventually_equal, threads};

fn event() -> Event {
    Event::new().unwrap()
}

#[test]
fn a_slow_method_delays_nobody() {
    for transport in Transport::ALL {
        let subject = transport.connect();
        let bench = &subject.bench;
        let (entered, until) = (event(), ManualEvent::new().unwrap());
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| bench.block(&entered, &until, 0).unwrap());
                assert!(entered.wait_timeout(LONG).unwrap());
                // The same client, from another thread; and another client.
                bench.nothing().unwrap();
                bench.cast::<BenchClient>().unwrap().nothing().unwrap();
            }
            until.set().unwrap();
        });
    }
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
fn a_client_that_never_stops_talking_delays_nobody() {
    let world = World::new();
    let bench = world.bench();
    let iid = <dyn Bench as Interface>::DESCRIPTION.iid;
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let raw = Raw::open(&world.socket(), BENCH.clsid(), iid);
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
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
fn a_client_that_does_not_read_its_replies_delays_nobody() {
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
    // And when it reads it gets them all.
    let mut calls: Vec<_> = (0..60).map(|_| raw.receive().unwrap().header.call).collect();
    calls.sort();
    assert_eq!(calls, (0..60).collect::<Vec<_>>());
}

#[test]
fn a_client_that_says_nothing_is_not_served_and_delays_nobody() {
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
fn each_client_of_a_class_has_an_object_of_its_own() {
    let world = World::new();
    let (first, second) = (world.bench(), world.bench());
    assert_eq!(first.pid().unwrap(), second.pid().unwrap());
    first.keep(&std::fs::File::open("/dev/null").unwrap()).unwrap();
    assert!(second.give_back().unwrap().is_empty());
    assert_eq!(first.give_back().unwrap().len(), 1);
}

#[test]
fn what_serves_an_object_in_this_process_ends_with_its_last_call() {
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
            // They run on when nobody is there any more.
            drop(bench);
            until.set().unwrap();
        }
        eventually_equal(&before, || (threads(), descriptors()));
    });
}
