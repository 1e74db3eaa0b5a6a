//! Runs the sample with a lower and lower limit of file descriptors (promise 1 in
//! `docs/promises.md`).

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::{ErrorKind, object::Proxy};
use syshandle_fault_injection::sample_client::{ClientOutcome, finish};
use syshandle_testkit::{Fixture, Process, example, wait_until};

/// Timeout for each step of a client.
const STEP: Duration = Duration::from_secs(20);

fn client(fixture: &Fixture, limit: u32) -> Output {
    let program = example("syshandle-fault-injection", "fault-client");
    let mut command = fixture.command(Path::new("/bin/sh"));
    command.arg("-c").arg(format!("ulimit -n {limit} && exec \"$0\" \"$1\""));
    command.arg(program).arg(fixture.path().join("dishes.txt"));
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_client_with_ever_fewer_descriptors_is_told_so_and_loses_nothing() {
    let fixture = Fixture::new();
    fixture.register(&example("syshandle-fault-injection", "fault-server"), SPARKLE_FINISHER, &[]);
    let keeper: SparkleFinisherClient =
        fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    let server = Process::open(keeper.as_client().server().unwrap().pid).unwrap();
    let before: usize = server.descriptors().unwrap().values().sum();
    let mut outcomes = BTreeMap::new();
    let mut finished = false;
    for limit in 3..=16 {
        fs::write(fixture.path().join("dishes.txt"), "").unwrap();
        let output = client(&fixture, limit);
        let outcome = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        // With so few descriptors, the dynamic loader can't load the program's libraries.
        if output.status.code() == Some(127) && outcome.is_empty() {
            continue;
        }
        assert!(output.status.success(), "{limit}: {}: {error}", output.status);
        let right = [
            "finished",
            "own",
            "System, did not run",
            "System, may have run",
            "HandlesLost",
            "Unproven",
        ];
        let is_right = right.iter().any(|right| outcome.starts_with(right));
        assert!(is_right, "{limit}: {outcome}: {error}");
        finished = outcome == "finished";
        *outcomes.entry(outcome).or_insert(0) += 1;
        wait_until("the server has no more descriptors than before", || {
            server.descriptors().unwrap().values().sum::<usize>() <= before
        });
    }
    println!("{outcomes:?}");
    assert!(finished, "the client must succeed with the largest limit");
}

#[test]
fn a_server_with_ever_fewer_descriptors_fails_each_client_rightly() {
    let mut outcomes = BTreeMap::new();
    let mut finished = false;
    for limit in 4..=26 {
        let fixture = Fixture::new();
        let server = example("syshandle-fault-injection", "fault-server");
        let mut registration = fixture.registration(&server, SPARKLE_FINISHER);
        registration.program = "/bin/sh".into();
        let script = format!("ulimit -n {limit} && exec \"$0\"");
        registration.arguments = vec!["-c".into(), script, server.to_str().unwrap().into()];
        fixture.register_as(&registration);
        let file = fixture.path().join("dishes.txt");
        let (outcome, text) = finish(&fixture.activation(), &file, STEP);
        let right = match outcome {
            ClientOutcome::Finished => true,
            ClientOutcome::Error(kind, _) => matches!(
                kind,
                ErrorKind::StartFailed
                    | ErrorKind::Busy
                    | ErrorKind::HandlesLost
                    | ErrorKind::Unproven
                    | ErrorKind::Failed
                    | ErrorKind::System
            ),
            ClientOutcome::OwnError => false,
        };
        assert!(right, "{limit}: {outcome}: {text}");
        finished = outcome == ClientOutcome::Finished;
        if finished {
            let text = fs::read_to_string(file).unwrap();
            assert_eq!(text, [CLIENT_LINES, SERVER_LINES].concat());
        }
        *outcomes.entry(outcome.to_string()).or_insert(0) += 1;
    }
    println!("{outcomes:?}");
    assert!(finished, "the client must succeed with the largest limit");
}
