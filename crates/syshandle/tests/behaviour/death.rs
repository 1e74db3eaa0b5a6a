//! The death of a server ends every wait at once, and every error states whether the call may have
//! run.

use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use syshandle::{
    Error, ErrorKind,
    handle::{Event, ManualEvent},
};

use crate::support::bench::{BenchClient, CounterClient};
use crate::support::process::{DRAIN_MS, STAY};
use crate::support::world::World;
use crate::support::{LONG, drain, eventually, pipe};

fn event() -> Event {
    Event::new().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

#[track_caller]
fn is_gone(error: &Error, may_have_run: bool) {
    assert_eq!(
        (error.kind(), error.may_have_run()),
        (ErrorKind::Disconnected, may_have_run),
        "{error}"
    );
}

#[test]
fn the_servers_death_ends_every_wait_of_all_threads_at_once() {
    let world = World::new();
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let (entered, never) = (event(), ManualEvent::new().unwrap());
    thread::scope(|scope| {
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let call = scope.spawn(|| bench.with_timeout(LONG).block(&entered, &never, 0));
                assert!(entered.wait_timeout(LONG).unwrap());
                call
            })
            .collect();
        let waits: Vec<_> =
            (0..5).map(|_| scope.spawn(|| bench.with_timeout(LONG).wait(&event()))).collect();
        signal(server, Signal::KILL);
        for call in calls {
            let error = call.join().unwrap().unwrap_err();
            is_gone(&error, true);
            assert_eq!(error.to_string(), "Bench::block: the server died");
        }
        for wait in waits {
            is_gone(&wait.join().unwrap().unwrap_err(), true);
        }
    });
    for _ in 0..3 {
        let error = bench.nothing().unwrap_err();
        is_gone(&error, false);
        assert_eq!(error.to_string(), "Bench::nothing: the server died");
    }
    // The next activation starts another server.
    let bench = world.bench();
    assert_ne!(bench.pid().unwrap(), server);
}

#[test]
fn the_first_call_after_an_unnoticed_death_did_not_run() {
    for large in [false, true] {
        let world = World::new();
        let bench = world.bench();
        let (reader, writer) = pipe();
        bench.keep_for_life(&writer).unwrap();
        drop(writer);
        let argument = vec![0; if large { 100_000 } else { 1 }];
        bench.echo(&argument).unwrap();
        signal(bench.pid().unwrap(), Signal::KILL);
        assert_eq!(drain(reader), "");
        eventually("the connection has ended", || {
            let error = bench.echo(&argument).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected);
            !error.may_have_run()
        });
    }
}

#[test]
fn an_event_that_was_set_before_the_death_still_counts() {
    let world = World::new();
    let bench = world.bench();
    let (reader, writer) = pipe();
    bench.keep_for_life(&writer).unwrap();
    drop(writer);
    signal(bench.pid().unwrap(), Signal::KILL);
    drain(reader);
    let event = event();
    event.set().unwrap();
    bench.wait(&event).unwrap();
}

#[test]
fn references_to_objects_of_a_dead_server_say_so() {
    let world = World::new();
    let bench = world.bench();
    let counters: Vec<CounterClient> = bench.counters(2).unwrap();
    counters[0].add(1).unwrap();
    let (reader, writer) = pipe();
    bench.keep_for_life(&writer).unwrap();
    drop(writer);
    signal(bench.pid().unwrap(), Signal::KILL);
    drain(reader);
    // The first reference had a connection. The second one had only its door.
    for counter in &counters {
        eventually("the connection has ended", || {
            let error = counter.add(1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected);
            !error.may_have_run()
        });
    }
}

/// Makes calls until the server refuses one because it drains. Returns the error.
fn refusal(bench: &BenchClient) -> Error {
    let mut refusal = None;
    eventually("the server drains", || {
        refusal = bench.nothing().err();
        refusal.is_some()
    });
    refusal.unwrap()
}

#[test]
fn a_server_that_is_told_to_end_finishes_what_runs_and_takes_nothing_new() {
    let world = World::with_environment(&[(STAY, "1"), (DRAIN_MS, "60000")]);
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let (entered, until) = (event(), ManualEvent::new().unwrap());
    thread::scope(|scope| {
        let call = scope.spawn(|| bench.block(&entered, &until, 3));
        assert!(entered.wait_timeout(LONG).unwrap());
        signal(server, Signal::TERM);
        let error = refusal(&bench);
        is_gone(&error, false);
        assert_eq!(error.to_string(), "Bench::nothing: the server is shutting down");
        // The next activation starts another server while the first one drains.
        let next = world.bench().pid().unwrap();
        assert_ne!(next, server);
        signal(next, Signal::TERM);
        until.set().unwrap();
        assert_eq!(call.join().unwrap().unwrap().len(), 3);
    });
    let error = bench.with_timeout(LONG).wait(&event()).unwrap_err();
    is_gone(&error, true);
    is_gone(&bench.nothing().unwrap_err(), false);
}

#[test]
fn a_server_that_is_told_to_end_finishes_its_jobs() {
    let world = World::with_environment(&[(STAY, "1"), (DRAIN_MS, "60000")]);
    let bench = world.bench();
    let (when, (reader, writer)) = (event(), pipe());
    bench.job(&when, &LONG, &writer).unwrap();
    drop(writer);
    signal(bench.pid().unwrap(), Signal::TERM);
    is_gone(&refusal(&bench), false);
    when.set().unwrap();
    assert_eq!(drain(reader), "Fired");
}

#[test]
fn a_job_that_is_not_done_when_the_server_must_end_is_told_so() {
    let world = World::with_environment(&[(STAY, "1"), (DRAIN_MS, "50")]);
    let bench = world.bench();
    let (reader, writer) = pipe();
    let (timed_reader, timed_writer) = pipe();
    bench.job(&event(), &LONG, &writer).unwrap();
    bench.job_after(&LONG, &timed_writer).unwrap();
    drop((writer, timed_writer));
    signal(bench.pid().unwrap(), Signal::TERM);
    assert_eq!(drain(reader), "Stopping");
    assert_eq!(drain(timed_reader), "Stopping");
}

#[test]
fn a_method_that_is_not_done_when_the_server_must_end_may_have_run() {
    let world = World::with_environment(&[(STAY, "1"), (DRAIN_MS, "50")]);
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let (entered, never) = (event(), ManualEvent::new().unwrap());
    thread::scope(|scope| {
        let call = scope.spawn(|| bench.with_timeout(LONG).block(&entered, &never, 0));
        assert!(entered.wait_timeout(LONG).unwrap());
        signal(server, Signal::TERM);
        let error = call.join().unwrap().unwrap_err();
        is_gone(&error, true);
        let text = "Bench::block: the server was stopped";
        assert_eq!(error.to_string(), text);
    });
}

#[test]
fn a_method_sees_that_the_server_is_about_to_end_and_its_result_still_arrives() {
    let world = World::with_environment(&[(STAY, "1"), (DRAIN_MS, "60000")]);
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let entered = event();
    thread::scope(|scope| {
        let call = scope.spawn(|| bench.with_timeout(LONG).run_until_stopping(&entered));
        assert!(entered.wait_timeout(LONG).unwrap());
        signal(server, Signal::TERM);
        assert!(!call.join().unwrap().unwrap(), "the client still waits");
    });
}

#[test]
fn an_unused_server_ends_and_the_next_client_starts_another() {
    let world = World::new();
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let (reader, writer) = pipe();
    bench.keep_for_life(&writer).unwrap();
    drop(writer);
    drop(bench);
    drain(reader);
    assert_ne!(world.bench().pid().unwrap(), server);
}

#[test]
fn a_server_stays_while_a_reference_to_one_of_its_objects_exists() {
    let world = World::new();
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let counter = bench.counters(1).unwrap().remove(0);
    drop(bench);
    // This time is several times the server's idle timeout.
    thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(counter.add(2).unwrap(), 2);
    assert_eq!(world.bench().pid().unwrap(), server);
}
