//! Many clients that activate a class at the same time, and clients that connect while the server
//! is ending.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use syshandle_testkit::{CLIENT, Fixture, SERVER, TEST_SERVICE};

/// Number of clients that activate the class at the same time.
const CLIENTS: usize = 200;

#[test]
fn clients_that_come_at_once_get_one_server() {
    let fixture = Fixture::new();
    let starts = fixture.path().join("starts");
    let environment = [("TESTKIT_STARTS", starts.to_str().unwrap()), ("TESTKIT_IDLE_MS", "5000")];
    fixture.register(&SERVER, TEST_SERVICE, &environment);

    let outputs = run_clients(&fixture);
    let mut servers = Vec::new();
    for output in outputs {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        servers
            .push(String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned());
    }
    assert_eq!(servers.len(), CLIENTS);
    assert!(servers.iter().all(|server| *server == servers[0]), "{servers:?}");
    assert_eq!(std::fs::read_to_string(starts).unwrap().trim(), servers[0]);
}

#[test]
fn clients_of_a_server_that_fails_each_learn_why_after_few_starts() {
    let fixture = Fixture::new();
    let starts = fixture.path().join("starts");
    let environment = [("TESTKIT_STARTS", starts.to_str().unwrap()), ("TESTKIT_STARTUP", "exit")];
    fixture.register(&SERVER, TEST_SERVICE, &environment);

    let began = Instant::now();
    for output in run_clients(&fixture) {
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("StartFailed: "), "{error}");
        assert!(error.contains("there is no water"), "{error}");
        assert!(error.contains("the machine can't run"), "{error}");
    }
    // The server is started once, and again each time a failure note has expired.
    let starts = std::fs::read_to_string(starts).unwrap().lines().count();
    println!("{CLIENTS} clients, {starts} starts in {:?}", began.elapsed());
    assert!(starts as u64 <= 1 + began.elapsed().as_secs(), "{starts} starts");
}

/// Runs [`CLIENTS`] clients at the same time, each in its own process.
fn run_clients(fixture: &Fixture) -> Vec<std::process::Output> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut command = fixture.command(&CLIENT);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    clients.into_iter().map(|client| client.wait_with_output().unwrap()).collect()
}

#[test]
fn no_call_is_lost_to_a_server_that_is_about_to_end() {
    const ROUNDS: usize = 2000;
    const THREADS: usize = 2;
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);

    // For each call, the time in which its server certainly was in use, which is from the end of
    // the activation to the reply.
    let uses = Mutex::new(Vec::new());
    let round = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let round = round.fetch_add(1, Ordering::Relaxed);
                    if round >= ROUNDS {
                        return;
                    }
                    let client = fixture
                        .activate()
                        .unwrap_or_else(|error| panic!("round {round}: {error:?}"));
                    let began = Instant::now();
                    let ids = client
                        .peer_ids()
                        .unwrap_or_else(|error| panic!("round {round}: {error:?}"));
                    uses.lock().unwrap().push((began, Instant::now(), ids.server_pid));
                    drop(client);
                    // The next activation takes place at about the time at which the server ends.
                    std::thread::sleep(Duration::from_micros(800 + 100 * (round as u64 % 20)));
                }
            });
        }
    });

    let mut uses = uses.into_inner().unwrap();
    uses.sort_unstable();
    assert_eq!(uses.len(), ROUNDS);
    let mut servers: Vec<_> = uses.iter().map(|(_, _, server)| *server).collect();
    servers.sort_unstable();
    servers.dedup();
    println!("{ROUNDS} rounds, {} servers", servers.len());
    for (index, (_, end, server)) in uses.iter().enumerate() {
        for (began, _, other) in &uses[index + 1..] {
            if began >= end {
                break;
            }
            assert_eq!(server, other, "two servers served at once");
        }
    }
}
