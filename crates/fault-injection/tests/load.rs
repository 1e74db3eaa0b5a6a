//! Load tests with many calls, many clients, many background tasks, and a greedy client (promises 2
//! and 7 in `docs/promises.md`).
//!
//! By default, the tests run in a small form. `SYSHANDLE_TEST_FORM=short` and
//! `SYSHANDLE_TEST_FORM=full` select larger forms.

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use syshandle::{ErrorKind, handle::Event, object::Proxy};
use syshandle_adversary::ResourceUsage;
use syshandle_testkit::{
    Fixture, SERVER, SetOnDrop, TEST_SERVICE, TEST_TIMEOUT, TestServiceClient, wait_until,
};

/// Selects a value for the form of the test: default, short or full.
fn sized<T>(plain: T, short: T, full: T) -> T {
    match std::env::var("SYSHANDLE_TEST_FORM").as_deref() {
        Ok("full") => full,
        Ok("short") => short,
        _ => plain,
    }
}

/// Makes the tests run one after the other, because they count the descriptors and the memory of
/// this process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    syshandle_os::raise_descriptor_limit();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a server that keeps running between clients.
fn fixture() -> (Fixture, TestServiceClient, u32) {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "60000")]);
    let client = fixture.activate().unwrap();
    let pid = client.as_client().server().unwrap().pid;
    (fixture, client, pid)
}

fn usage(pid: u32) -> ResourceUsage {
    ResourceUsage::of_process(pid).unwrap()
}

/// Memory in KiB that the process may keep, for example in the allocator and in tables that have
/// grown.
const KEPT_KIB: u64 = 16 * 1024;

#[test]
fn memory_and_descriptors_stay_as_they_are_over_many_calls() {
    let _alone = alone();
    let calls: u64 = sized(40_000, 400_000, 10_000_000);
    const THREADS: u64 = 4;
    let (fixture, client, server) = fixture();
    let file = tempfile::tempfile().unwrap();
    let run = |calls: u64| {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..calls / THREADS {
                        assert_eq!(client.len(&file).unwrap(), 0);
                    }
                });
            }
        });
    };
    run(calls / 10);
    let began = Instant::now();
    let before = [usage(std::process::id()), usage(server)];
    for tenth in 1..=10 {
        run(calls / 10);
        println!(
            "    {} calls after {:?}; the server: {}",
            calls / 10 * tenth,
            began.elapsed(),
            usage(server)
        );
    }
    let time = began.elapsed();
    let after = [std::process::id(), server].map(|pid| {
        ResourceUsage::after_release(pid, &before[usize::from(pid == server)], TEST_TIMEOUT)
            .unwrap()
    });
    println!("{calls} calls with a handle each from {THREADS} threads in {time:?}");
    for (who, (before, after)) in ["client", "server"].iter().zip(before.iter().zip(&after)) {
        println!("    {who}: {before}\n    {who}: {after}");
        // A socket of an earlier test may have been closed in the meantime.
        for (object, count) in &after.descriptors {
            assert!(before.descriptors.get(object) >= Some(count), "{who} has more of {object}");
        }
        assert!(after.memory_kib <= before.memory_kib + KEPT_KIB, "{who}: {before}, then {after}");
    }
    drop(fixture);
}

#[test]
fn many_clients_are_held_at_once_and_each_is_served() {
    let _alone = alone();
    let clients = sized(200, 1_000, 10_000);
    let (fixture, keeper, server) = fixture();
    let idle = usage(server);
    let began = Instant::now();
    let mut held = Vec::new();
    for number in 0..clients {
        match fixture.activate() {
            Ok(client) => held.push(client),
            Err(error) => {
                println!("skipped: only {number} clients, since {error}");
                assert!(number * 10 >= clients, "{error}");
                break;
            }
        }
    }
    let came = began.elapsed();
    let began = Instant::now();
    for client in &held {
        assert_eq!(client.peer_ids().unwrap().server_pid, server);
    }
    let called = began.elapsed();
    let full = usage(server);
    let each = full.memory_kib.saturating_sub(idle.memory_kib) as f64 / held.len() as f64;
    println!(
        "{} clients: came in {came:?}, a call of each in {called:?}, {each:.1} KiB and {:.1} \
         descriptors each in the server",
        held.len(),
        (full.descriptor_count() - idle.descriptor_count()) as f64 / held.len() as f64
    );
    drop(held);
    let after = ResourceUsage::after_release(server, &idle, TEST_TIMEOUT).unwrap();
    assert!(after.descriptor_count() <= idle.descriptor_count(), "{idle}, then {after}");
    keeper.peer_ids().unwrap();
}

#[test]
fn jobs_wait_until_the_server_has_no_descriptors_and_each_has_its_outcome() {
    let _alone = alone();
    let most = sized(500, 5_000, 1_000_000);
    let (fixture, client, server) = fixture();
    let idle = usage(server);
    let path = fixture.path().join("outcomes");
    let file = File::options().write(true).create_new(true).open(&path).unwrap();
    let mut events = Vec::new();
    let limit = loop {
        if events.len() == most {
            break "as many as this form of the test has".to_owned();
        }
        let event = match Event::new() {
            Ok(event) => event,
            Err(error) => break format!("this process has no more events: {error}"),
        };
        match client.write_outcome(&file, &event) {
            Ok(()) => events.push(event),
            Err(error) => {
                let right = [
                    ErrorKind::Busy,
                    ErrorKind::HandlesLost,
                    ErrorKind::Unproven,
                    ErrorKind::System,
                    ErrorKind::Failed,
                ];
                assert!(right.contains(&error.kind()), "{error:?}");
                break error.to_string();
            }
        }
    };
    println!("{} jobs wait: {limit}", events.len());
    println!("    {}", usage(server));
    // The server continues to serve, because it keeps some resources in reserve.
    client.peer_ids().unwrap();
    for event in &events {
        event.set().unwrap();
    }
    wait_until("each job has its outcome", || {
        std::fs::metadata(&path).unwrap().len() == ("Fired\n".len() * events.len()) as u64
    });
    let after = ResourceUsage::after_release(server, &idle, TEST_TIMEOUT).unwrap();
    assert!(after.descriptor_count() <= idle.descriptor_count(), "{idle}, then {after}");
}

/// Maximum ratio of an honest client's 99th percentile of latency next to a greedy client, which
/// calls without pause, to that without one. All processes share the same CPUs, at least two.
const GREED_MAX: f64 = 100.0;

#[test]
fn a_greedy_client_leaves_an_honest_one_its_share() {
    let _alone = alone();
    let calls = sized(500, 5_000, 50_000);
    let (fixture, honest, _) = fixture();
    let file = tempfile::tempfile().unwrap();
    let p99 = || {
        let mut times: Vec<Duration> = (0..calls)
            .map(|_| {
                let began = Instant::now();
                honest.len(&file).unwrap();
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() * 99 / 100]
    };
    p99();
    let idle = p99();
    let (done, greedy_calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let beside = std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let greedy = fixture.activate().unwrap();
                while !done.load(Ordering::SeqCst) {
                    greedy.len(&file).unwrap();
                    greedy_calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _done = SetOnDrop(&done);
        wait_until("the greedy one calls", || greedy_calls.load(Ordering::Relaxed) > 100);
        p99()
    });
    let ratio = beside.as_secs_f64() / idle.as_secs_f64();
    let greedy_calls = greedy_calls.into_inner();
    println!(
        "p99 of an honest client: {idle:?} alone, {beside:?} beside {greedy_calls} greedy calls on 8 \
         connections: {ratio:.1} times as long (at most {GREED_MAX})"
    );
    // The ratio is checked only if this test runs alone, because the load of other programs affects
    // it too.
    assert!(ratio <= sized(f64::MAX, GREED_MAX, GREED_MAX), "{ratio}");
    assert!(beside < TEST_TIMEOUT);
}
