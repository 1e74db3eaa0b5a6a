//! Makes every system call that allocates memory fail, one at a time, while large values and
//! handles are passed in both directions. The call of the interface must return an error, and
//! neither process may end.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints the outcomes of the failures")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use syshandle_fault_injection::injection::{
    CallCounts, FAILURE_VARIABLE, InjectedFailure, REPORT_VARIABLE,
};
use syshandle_fault_injection::large_values::{LARGE, LARGE_VALUES, try_to_call};
use syshandle_fault_injection::system_calls::SystemCall;
use syshandle_testkit::{Fixture, LineFifo, TEST_TIMEOUT, example};

/// The system calls that can fail for lack of memory.
const CALLS: [&str; 6] = ["memfd_create", "ftruncate", "fallocate", "mmap", "mremap", "pread64"];

/// The errors of a lack of memory, and of a seccomp filter that rejects the call.
const ERRORS: [(&str, i32); 2] = [("ENOMEM", libc::ENOMEM), ("EPERM", libc::EPERM)];

const STEP: Duration = Duration::from_secs(20);

/// A client and a server. A failure is injected into one of them.
struct Stage {
    fixture: Fixture,
    report: LineFifo,
}

impl Stage {
    fn new(of_server: Option<&InjectedFailure>) -> Self {
        let fixture = Fixture::new();
        let report = fixture.fifo("report");
        let (failure, path) =
            (of_server.map(InjectedFailure::to_string), report.path().display().to_string());
        let mut environment = vec![("FAULT_SERVER_IDLE_MS", "200")];
        if let Some(failure) = &failure {
            environment.extend([(FAILURE_VARIABLE, failure.as_str()), (REPORT_VARIABLE, &path)]);
        }
        fixture.register(
            &example("syshandle-fault-injection", "fault-server"),
            LARGE,
            &environment,
        );
        Self { fixture, report }
    }

    /// Runs the client. Returns the outcome and the text of the error.
    fn run(&self, of_client: Option<&InjectedFailure>) -> (String, String) {
        let mut command =
            self.fixture.command(&example("syshandle-fault-injection", "fault-client"));
        if let Some(failure) = of_client {
            command
                .env(FAILURE_VARIABLE, failure.to_string())
                .env(REPORT_VARIABLE, self.report.path());
        }
        let output = command.arg(LARGE_VALUES).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert!(output.status.success(), "{of_client:?}: {}: {text}", output.status);
        (String::from_utf8_lossy(&output.stdout).trim().to_owned(), text)
    }

    fn counts(&mut self) -> CallCounts {
        CallCounts::parse(&self.report.line_within(TEST_TIMEOUT).unwrap())
    }

    fn log(&self) -> String {
        let files = fs::read_dir(self.fixture.runtime().join("syshandle")).into_iter().flatten();
        let logs = files.flatten().filter(|file| file.path().extension() == Some("log".as_ref()));
        logs.map(|log| fs::read_to_string(log.path()).unwrap_or_default()).collect()
    }
}

fn none() -> InjectedFailure {
    InjectedFailure { call: SystemCall::named("mmap").unwrap(), nth: 0, error: ERRORS[0] }
}

/// Returns the failures to test, based on the system calls that a run without failures has made.
fn failures(counts: &CallCounts) -> Vec<InjectedFailure> {
    // Later calls with the same name fail like the first ones.
    let most =
        if std::env::var("SYSHANDLE_TEST_FORM").is_ok_and(|how| how == "full") { 40 } else { 3 };
    let count = |name| counts.calls.iter().find(|(call, _)| call == name).map_or(0, |call| call.1);
    let each =
        |name| (1..=count(name).min(most)).map(move |nth| (SystemCall::named(name).unwrap(), nth));
    let calls = CALLS.into_iter().flat_map(each);
    calls.flat_map(|(call, nth)| ERRORS.map(|error| InjectedFailure { call, nth, error })).collect()
}

/// Asserts that the outcome is not a timeout, a disconnect or a violation of the protocol.
#[track_caller]
fn check(failure: &InjectedFailure, outcome: &str, text: &str) {
    let is_right =
        !["TimedOut", "Disconnected", "Violation"].iter().any(|kind| outcome.starts_with(kind));
    assert!(is_right, "{failure}: {outcome}: {text}");
}

fn show(what: &str, endings: &BTreeMap<String, u32>) {
    println!("{what}: {endings:#?}");
}

#[test]
fn a_client_without_memory_gets_an_error_and_lives() {
    let mut stage = Stage::new(None);
    let (outcome, text) = stage.run(Some(&none()));
    assert_eq!(outcome, "finished", "{text}");
    let failures = failures(&stage.counts());
    assert!(failures.len() > 10, "{failures:?}");
    let server = || try_to_call(&stage.fixture.activation(), STEP).unwrap();
    let keeper = server();
    let mut endings = BTreeMap::new();
    for failure in &failures {
        let (outcome, text) = stage.run(Some(failure));
        check(failure, &outcome, &text);
        *endings.entry(outcome).or_default() += 1;
        assert_eq!(server(), keeper, "{failure}: the server must keep running");
    }
    show("client", &endings);
}

#[test]
fn a_server_without_memory_answers_with_an_error_and_lives() {
    let counts = {
        let mut stage = Stage::new(Some(&none()));
        let (outcome, text) = stage.run(None);
        assert_eq!(outcome, "finished", "{text}");
        stage.counts()
    };
    let failures = failures(&counts);
    assert!(failures.len() > 10, "{failures:?}");
    let mut endings = BTreeMap::new();
    for failure in &failures {
        let mut stage = Stage::new(Some(failure));
        let (outcome, text) = stage.run(None);
        check(failure, &outcome, &text);
        *endings.entry(outcome).or_default() += 1;
        // Waits until the server has ended by itself.
        stage.counts();
        let log = stage.log();
        assert!(!log.contains("panicked"), "{failure}: {log}");
    }
    show("server", &endings);
}
