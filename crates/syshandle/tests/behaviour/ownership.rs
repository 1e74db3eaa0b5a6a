//! Ownership of handles: a client lends what it passes, and a server owns what it receives.

use std::fs::File;
use std::time::Duration;

use syshandle::{
    CallError,
    handle::{Event, ManualEvent},
};

use crate::support::bench::{BenchClient, Mishap, Workbench};
use crate::support::process::alone;
use crate::support::world::{World, file, identity, over_every_transport};
use crate::support::{LONG, descriptors, drain, eventually_no_more, pipe};

#[test]
fn handles_that_a_method_does_not_keep_are_closed_at_return() {
    over_every_transport(|bench| {
        let (reader, writer) = pipe();
        bench.close(&[writer]).unwrap();
        assert_eq!(drain(reader), "");
    });
}

#[test]
fn lent_handles_stay_open() {
    over_every_transport(|bench| {
        let (file, event) = (file(), Event::new().unwrap());
        let done = bench.finish(&file, &event).unwrap();
        file.set_len(7).unwrap();
        for event in [event, done] {
            event.set().unwrap();
            assert!(event.poll().unwrap());
        }
    });
}

#[test]
fn a_returned_arc_refers_to_the_kept_object() {
    over_every_transport(|bench| {
        let done: Event = bench.finish(&file(), &Event::new().unwrap()).unwrap();
        // The method set the event through its own reference before it returned the event.
        assert!(done.poll().unwrap());
    });
}

#[test]
fn a_kept_handle_comes_back_as_the_same_object() {
    over_every_transport(|bench| {
        let files = [file(), file()];
        for file in &files {
            bench.keep(file).unwrap();
        }
        let expected = files.each_ref().map(identity);
        drop(files);
        let back: Vec<File> = bench.give_back().unwrap();
        assert_eq!(back.iter().map(identity).collect::<Vec<_>>(), expected);
        assert!(bench.give_back().unwrap().is_empty());
    });
}

#[test]
fn a_file_arrives_with_its_offset_shared() {
    use std::io::{Seek, Write};
    over_every_transport(|bench| {
        let mut sent = file();
        sent.write_all(b"four").unwrap();
        bench.keep(&sent).unwrap();
        let mut back = bench.give_back().unwrap().remove(0);
        assert_eq!(back.stream_position().unwrap(), 4);
    });
}

#[test]
fn handles_of_a_call_that_is_refused_are_closed() {
    over_every_transport(|bench| {
        let (reader, writer) = pipe();
        let writer = File::from(writer);
        let error = bench.finish(&writer, &Event::new().unwrap()).unwrap_err();
        assert!(!error.may_have_run());
        drop(writer);
        assert_eq!(drain(reader), "");
    });
}

#[test]
fn handles_of_a_method_that_panics_are_closed() {
    over_every_transport(|bench| {
        let (reader, writer) = pipe();
        bench.fail_typed(&Mishap::Evidence(file())).unwrap_err();
        let _ = bench.job_that_panics(&Event::new().unwrap());
        drop(writer);
        assert_eq!(drain(reader), "");
    });
}

/// A function that makes a call which ends in a certain way.
type Way<'b> = Box<dyn Fn() + 'b>;

/// Returns a function for each way in which a call can end, with a name for messages.
fn every_way(bench: &BenchClient) -> Vec<(&'static str, Way<'_>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("success", Box::new(|| drop(bench.finish(&file(), &event()).unwrap()))),
        ("many handles", Box::new(|| drop(bench.events(253).unwrap()))),
        (
            "a wrong kind",
            Box::new(|| drop(bench.finish(&File::from(pipe().1), &event()).unwrap_err())),
        ),
        (
            "a missing right",
            Box::new(|| {
                let file = File::open("/dev/null").unwrap();
                drop(bench.finish(&file, &event()).unwrap_err());
            }),
        ),
        ("a surplus right", Box::new(|| drop(bench.read_only(&file()).unwrap_err()))),
        ("a panic", Box::new(|| drop(bench.panic_with(0).unwrap_err()))),
        ("a failure", Box::new(|| drop(bench.fail_with_causes().unwrap_err()))),
        (
            "an error with a handle",
            Box::new(|| {
                let error = bench.fail_typed(&Mishap::Evidence(file())).unwrap_err();
                assert!(matches!(error, CallError::Method(Mishap::Evidence(_))));
            }),
        ),
        (
            "an error with bytes",
            Box::new(move || {
                drop(bench.fail_typed(&Mishap::Broken("it".into(), text("is"))).unwrap_err());
            }),
        ),
        ("a wrong result", Box::new(|| drop(bench.wrong_result().unwrap_err()))),
        ("too many handles in a result", Box::new(|| drop(bench.events(254).unwrap_err()))),
        (
            "a timeout, with a late reply",
            Box::new(|| {
                let (entered, until) = (event(), ManualEvent::new().unwrap());
                let hasty = bench.with_timeout(Duration::from_millis(5));
                drop(hasty.block(&entered, &until, 5).unwrap_err());
                until.set().unwrap();
                // The server sends this reply after the late reply, so the late reply has arrived
                // when this call returns.
                bench.nothing().unwrap();
            }),
        ),
        ("large values", Box::new(|| drop(bench.echo(&vec![7; 100_000]).unwrap()))),
        ("a reference", Box::new(|| drop(bench.counters(3).unwrap()))),
        (
            "references used",
            Box::new(|| {
                let team = bench.team().unwrap();
                team.first.add(1).unwrap();
                bench.add_to_team(&team, 1).unwrap();
            }),
        ),
        (
            "a job",
            Box::new(|| {
                let ((reader, writer), when) = (pipe(), event());
                bench.job(&when, &LONG, &writer).unwrap();
                drop(writer);
                when.set().unwrap();
                assert_eq!(drain(reader), "Fired");
            }),
        ),
    ]
}

/// Returns the number of descriptors of both processes.
fn both(bench: &BenchClient) -> [usize; 2] {
    [descriptors(), bench.descriptors().unwrap() as usize]
}

fn event() -> Event {
    Event::new().unwrap()
}

#[test]
fn no_way_in_which_a_call_ends_leaks_a_handle_in_another_process() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        for (what, way) in every_way(&bench) {
            // The first call creates threads and shared memory, which are reused later.
            way();
            let before = both(&bench);
            for _ in 0..20 {
                way();
            }
            println!("{what}: {before:?}");
            eventually_no_more(before, || both(&bench));
        }
    });
}

#[test]
fn no_way_in_which_a_call_ends_leaks_a_handle_in_this_process() {
    alone(|| {
        let before = [descriptors()];
        for _ in 0..3 {
            let bench = BenchClient::in_process(Workbench::default()).unwrap();
            for (_, way) in every_way(&bench) {
                way();
            }
        }
        // The threads that served the client end after some time.
        eventually_no_more(before, || [descriptors()]);
    });
}

#[test]
fn connections_and_activations_leak_nothing() {
    alone(|| {
        let world = World::new();
        let first = world.bench();
        let before = both(&first);
        for _ in 0..50 {
            let bench = world.bench();
            bench.nothing().unwrap();
            let named: BenchClient = bench.cast().unwrap();
            named.nothing().unwrap();
        }
        eventually_no_more(before, || both(&first));
    });
}

#[test]
fn a_client_that_comes_and_goes_leaves_nothing_once_its_jobs_are_done() {
    alone(|| {
        let world = World::new();
        let first = world.bench();
        let before = both(&first);
        for _ in 0..20 {
            let (when, (reader, writer)) = (event(), pipe());
            let bench = world.bench();
            bench.job(&when, &LONG, &writer).unwrap();
            // The client sends `Bye` while the task is pending.
            drop((bench, writer));
            when.set().unwrap();
            assert_eq!(drain(reader), "Fired");
        }
        eventually_no_more(before, || both(&first));
    });
}

#[test]
fn a_hundred_thousand_calls_with_three_handles_each_leave_both_processes_as_they_were() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        let (file, event) = (file(), event());
        bench.finish(&file, &event).unwrap();
        let before = both(&bench);
        for _ in 0..100_000 {
            bench.finish(&file, &event).unwrap();
        }
        eventually_no_more(before, || both(&bench));
    });
}
