//! Makes every system call of client and server fail, one at a time (promises 1, 2, 8 and 13 in
//! `docs/promises.md`).
//!
//! By default, each call fails with one error. With `SYSHANDLE_TEST_FORM=full`, it fails with every
//! error in turn.

#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints the outcomes of the failures")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::object::Proxy;
use syshandle_fault_injection::injection::{
    CallCounts, FAILURE_VARIABLE, InjectedFailure, REPORT_VARIABLE,
};
use syshandle_fault_injection::pipelined_calls::{NUMBERS, PIPELINED_CALLS};
use syshandle_fault_injection::sample_client::{ClientOutcome, finish};
use syshandle_fault_injection::system_calls::{ERRORS, SystemCall};
use syshandle_testkit::{Fixture, LineFifo, Process, wait_until};

/// Maximum run time of a client, whichever call fails. Each of its steps has a timeout of ten
/// seconds.
const NEVER_LONGER: Duration = Duration::from_secs(40);

/// Number of failures that are tested at the same time.
const AT_ONCE: usize = 6;

/// Timeout for each step of a client. No failure may delay a step this long.
const STEP: Duration = Duration::from_secs(10);

/// Returns the path of an example program of this package.
fn example(name: &str) -> PathBuf {
    syshandle_testkit::example("syshandle-fault-injection", name)
}

/// A fixture for the sample, whose programs run with injected failures.
struct Stage {
    fixture: Fixture,
    report: LineFifo,
    files: u32,
}

/// The result of one run of the client.
#[derive(Debug)]
struct Run {
    outcome: String,
    text: String,
    counts: CallCounts,
    time: Duration,
    lines: usize,
}

impl Stage {
    fn new() -> Self {
        let fixture = Fixture::new();
        let report = fixture.fifo("report");
        Self { fixture, report, files: 0 }
    }

    /// Returns a new file name. The previous file may still be in use, by a server whose client has
    /// given up.
    fn new_file(&mut self) -> PathBuf {
        self.files += 1;
        self.fixture.path().join(format!("dishes-{}.txt", self.files))
    }

    /// Registers the server, which runs with a failure to inject.
    fn register(&self, failure: Option<InjectedFailure>) {
        let failure = failure.map(|failure| failure.to_string()).unwrap_or_default();
        let mut environment = vec![("FAULT_SERVER_IDLE_MS", "500")];
        if !failure.is_empty() {
            environment.push((FAILURE_VARIABLE, &failure));
            environment.push((REPORT_VARIABLE, self.report.path().to_str().unwrap()));
        }
        let server = example("fault-server");
        self.fixture.register(&server, SPARKLE_FINISHER, &environment);
    }

    /// Runs a client with a failure to inject.
    fn run_client(&mut self, failure: InjectedFailure) -> Run {
        let file = self.new_file();
        let began = Instant::now();
        let mut command = self.fixture.command(&example("fault-client"));
        command.env(FAILURE_VARIABLE, failure.to_string()).env(REPORT_VARIABLE, self.report.path());
        command.arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = output_in_time(command.spawn().unwrap(), &failure);
        let time = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert_ne!(output.status.code(), Some(77), "{text}");
        assert!(output.status.success(), "{failure}: {}: {text}", output.status);
        let outcome = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // After any other outcome, the server may still be writing to the file.
        let lines = if outcome == "finished" { lines(&file) } else { 0 };
        Run { outcome, text, counts: self.counts(), time, lines }
    }

    /// Checks that the server finishes a file for another client.
    fn serves_the_next_client(&mut self, failure: &InjectedFailure) {
        let (mut file, mut last) = (PathBuf::new(), String::new());
        let deadline = Instant::now() + NEVER_LONGER;
        wait_until("the next client is served", || {
            file = self.new_file();
            let (outcome, text) = finish(&self.fixture.activation(), &file, STEP);
            last = text;
            outcome == ClientOutcome::Finished || Instant::now() > deadline
        });
        assert_eq!(lines(&file), 10, "{failure}: {last}");
    }

    /// Returns the log of the server.
    fn log(&self) -> String {
        let files = fs::read_dir(self.fixture.runtime().join("syshandle")).into_iter().flatten();
        let logs = files.flatten().filter(|file| file.path().extension() == Some("log".as_ref()));
        logs.map(|log| fs::read_to_string(log.path()).unwrap_or_default()).collect()
    }

    fn counts(&mut self) -> CallCounts {
        CallCounts::parse(&self.report.line())
    }
}

/// Returns the number of lines in a file. The file must be empty, or contain the lines of the
/// client, optionally followed by the lines of the server.
fn lines(file: &Path) -> usize {
    match fs::read_to_string(file).unwrap().as_str() {
        "" => 0,
        CLIENT_LINES => 6,
        text if text == [CLIENT_LINES, SERVER_LINES].concat() => 10,
        text => panic!("{} holds {text:?}", file.display()),
    }
}

fn output_in_time(mut child: Child, what: &InjectedFailure) -> Output {
    let deadline = Instant::now() + NEVER_LONGER;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("{what}: the client hangs: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.wait_with_output().unwrap()
}

/// Returns the failures to test. They make each counted call fail, either with one error or with
/// every error in turn.
fn failures(counts: &CallCounts) -> Vec<InjectedFailure> {
    let full = std::env::var("SYSHANDLE_TEST_FORM").is_ok_and(|how| how == "full");
    let mut failures = Vec::new();
    for (index, (name, count)) in counts.calls.iter().enumerate() {
        let call = SystemCall::named(name).unwrap();
        // Later calls with the same name come from loops, and fail like the earlier ones.
        for nth in 1..=(*count).min(40) {
            match full {
                true => {
                    failures.extend(call.errors().map(|error| InjectedFailure { call, nth, error }))
                }
                false => {
                    let errors: Vec<_> = call.errors().collect();
                    // The error depends only on the call, so each test run uses the same errors.
                    let error = errors[(index * 7 + nth as usize) % errors.len()];
                    failures.push(InjectedFailure { call, nth, error });
                }
            }
        }
    }
    failures
}

/// Tests failures in parallel, each with its own server, because most of the time is spent waiting.
fn for_each(
    failures: &[InjectedFailure],
    try_one: impl Fn(&InjectedFailure, &Mutex<Tally>) + Sync,
) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(failure) = failures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(failure, &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn none() -> InjectedFailure {
    InjectedFailure { call: SystemCall::named("socket").unwrap(), nth: 0, error: ERRORS[0] }
}

/// A summary of the tested failures, for printing.
#[derive(Default)]
struct Tally {
    endings: BTreeMap<String, u32>,
    came_to_pass: usize,
    slowest: (Duration, String),
    wrong: Vec<String>,
}

impl Tally {
    fn add(
        &mut self,
        failure: &InjectedFailure,
        outcome: &str,
        text: &str,
        failed: bool,
        time: Duration,
    ) {
        *self.endings.entry(outcome.to_owned()).or_default() += 1;
        self.came_to_pass += usize::from(failed);
        self.slowest = std::mem::take(&mut self.slowest).max((time, failure.to_string()));
        if let Err(why) = right(failure, outcome, failed) {
            self.wrong.push(format!("{failure}: {outcome}: {why}: {text}"));
        }
        if time > STEP {
            self.wrong.push(format!("{failure}: {outcome}: it took {time:?}: {text}"));
        }
    }

    #[track_caller]
    fn show(self, what: &str, failures: usize) {
        println!(
            "{what}: {failures} failures, {} of them injected, slowest {:?}",
            self.came_to_pass, self.slowest
        );
        for (outcome, count) in &self.endings {
            println!("    {count:>5} {outcome}");
        }
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
        assert!(self.came_to_pass * 2 > failures, "most of the failures must be injected");
    }
}

/// The errors that mean that a resource is exhausted.
const LACKS: [&str; 4] = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"];

/// Error kinds that blame something other than the system.
const BLAMES: [&str; 4] = ["ActivationDenied", "BadRegistration", "Insecure", "NoRuntimeDirectory"];

/// Returns an error if a run with this failure must not have this outcome.
fn right(failure: &InjectedFailure, outcome: &str, failed: bool) -> Result<(), &'static str> {
    let interrupted = failure.error.0 == "EINTR";
    match outcome.split(' ').next().unwrap_or_default() {
        "finished" | "own" => Ok(()),
        _ if !failed => Err("no failure was injected"),
        _ if interrupted => Err("an interruption must not cause an error"),
        kind if LACKS.contains(&failure.error.0) && BLAMES.contains(&kind) => {
            Err("the error names another cause than the system")
        }
        "TimedOut" => Err("a failure must not cause a timeout"),
        _ => Ok(()),
    }
}

#[test]
fn a_client_with_any_failing_system_call_ends_with_an_error_and_harms_no_other() {
    let mut stage = Stage::new();
    stage.register(None);
    let keeper: SparkleFinisherClient =
        stage.fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    let server = Process::open(keeper.as_client().server().unwrap().pid).unwrap();
    let run = stage.run_client(none());
    assert_eq!((run.outcome.as_str(), run.lines), ("finished", 10), "{}", run.text);
    let idle = server.descriptors().unwrap();
    let failures = failures(&run.counts);
    let mut tally = Tally::default();
    for failure in &failures {
        let run = stage.run_client(*failure);
        tally.add(failure, &run.outcome, &run.text, run.counts.failed, run.time);
        assert!(run.outcome != "finished" || run.lines == 10, "{failure}: {} lines", run.lines);
        wait_until("the server has no more descriptors than before", || {
            server.descriptors().unwrap().values().sum::<usize>() <= idle.values().sum::<usize>()
        });
    }
    assert!(keeper.as_client().server().is_ok());
    tally.show("client", failures.len());
}

#[test]
fn a_client_any_of_whose_calls_fails_while_it_starts_the_server_leaves_no_obstacle() {
    let counts = {
        let mut stage = Stage::new();
        stage.register(None);
        let run = stage.run_client(none());
        assert_eq!((run.outcome.as_str(), run.lines), ("finished", 10), "{}", run.text);
        run.counts
    };
    let failures = failures(&counts);
    let tally = for_each(&failures, |failure, tally| {
        // The server inherits the failing calls from the client that starts it. It ends when the
        // fixture is dropped.
        let mut stage = Stage::new();
        stage.register(None);
        let mut command = stage.fixture.command(&example("fault-client"));
        command
            .env(FAILURE_VARIABLE, failure.to_string())
            .env(REPORT_VARIABLE, stage.report.path());
        command.arg(stage.new_file()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let output = output_in_time(command.spawn().unwrap(), failure);
        let time = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert!(output.status.success(), "{failure}: {}: {text}", output.status);
        let outcome = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // The next client must be served. Only while a failure note is fresh may it get that
        // failure instead.
        stage.serves_the_next_client(failure);
        for server in stage.fixture.processes("fault-server") {
            server.kill();
        }
        let failed = stage.counts().failed;
        tally.lock().unwrap().add(failure, &outcome, &text, failed, time);
    });
    tally.show("client that starts the server", failures.len());
}

#[test]
fn a_server_any_of_whose_calls_fails_serves_the_next_client() {
    let mut stage = Stage::new();
    // Counts the server's calls until it ends.
    stage.register(Some(none()));
    let (outcome, text) = finish(&stage.fixture.activation(), &stage.new_file(), STEP);
    assert_eq!(outcome, ClientOutcome::Finished, "{text}");
    let counts = stage.counts();
    let mut failures = failures(&counts);
    // These errors falsely tell the server that the client has disconnected. The server may then do
    // nothing but close the connection, while messages of the client are unread.
    let gone = |failure: &InjectedFailure| ["EPIPE", "ECONNRESET"].contains(&failure.error.0);
    let sends = ["sendto", "sendmsg", "sendmmsg"];
    failures.retain(|failure| !sends.contains(&failure.call.name) || !gone(failure));
    let tally = for_each(&failures, |failure, tally| {
        let mut stage = Stage::new();
        stage.register(Some(*failure));
        let began = Instant::now();
        let mut command = stage.fixture.command(&example("fault-client"));
        command.arg(stage.new_file()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Runs the client as a separate process, because the server works for a failed client until
        // the client's process ends.
        let output = output_in_time(command.spawn().unwrap(), failure);
        let time = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let outcome = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // Another client must be served, either by the same server or by a new one without
        // failures.
        stage.register(None);
        stage.serves_the_next_client(failure);
        let log = stage.log();
        assert!(!log.contains("panicked"), "{failure}: {log}");
        // The server ends by itself, and then reports whether a call failed.
        match stage.report.line_within(NEVER_LONGER).as_deref().map(CallCounts::parse) {
            Some(counts) => {
                tally.lock().unwrap().add(failure, &outcome, &text, counts.failed, time);
            }
            None => {
                let wrong = format!("{failure}: {outcome}: the server never ends");
                tally.lock().unwrap().wrong.push(wrong);
            }
        }
    });
    tally.show("server", failures.len());
}

/// Runs the client with pipelined calls. Returns the outcome and the text of the error.
fn run_together(
    stage: &Stage,
    failure: &InjectedFailure,
    environment: &[(&str, &str)],
) -> (String, String) {
    let mut command = stage.fixture.command(&example("fault-client"));
    command.envs(environment.iter().copied()).arg(PIPELINED_CALLS);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output_in_time(command.spawn().unwrap(), failure);
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert!(output.status.success(), "{failure}: {}: {text}", output.status);
    (String::from_utf8_lossy(&output.stdout).trim().to_owned(), text)
}

/// Returns failures of the system calls that send or receive several messages. The first call and
/// one later call fail.
fn failures_of_several(whose: &str, counts: &CallCounts) -> Vec<InjectedFailure> {
    assert!(have_several(counts), "{whose}: {counts:?}");
    let each = |name| {
        let call = SystemCall::named(name).unwrap();
        [1, 2].into_iter().flat_map(move |nth| {
            call.errors().map(move |error| InjectedFailure { call, nth, error })
        })
    };
    SEVERAL.into_iter().flat_map(each).collect()
}

/// Repeats a run until several messages were in a queue at the same time, which depends on the
/// scheduler.
fn until_several_waited<T>(mut run: impl FnMut() -> T, have: impl Fn(&T) -> bool) -> T {
    let mut last = run();
    for _ in 0..20 {
        if have(&last) {
            break;
        }
        last = run();
    }
    last
}

/// Returns whether several messages were sent with one system call at least twice, and likewise
/// received.
fn have_several(counts: &CallCounts) -> bool {
    SEVERAL.into_iter().all(|name| counts.calls.iter().any(|(call, n)| call == name && *n >= 2))
}

const SEVERAL: [&str; 2] = ["sendmmsg", "recvmmsg"];

#[test]
fn batched_messages_may_fail_at_the_client() {
    let run = |failure: &InjectedFailure| {
        let mut stage = Stage::new();
        stage.fixture.register(
            &example("fault-server"),
            NUMBERS,
            &[("FAULT_SERVER_IDLE_MS", "100")],
        );
        let armed = failure.to_string();
        let report = stage.report.path().to_str().unwrap().to_owned();
        let began = Instant::now();
        let (outcome, text) = run_together(
            &stage,
            failure,
            &[(FAILURE_VARIABLE, &armed), (REPORT_VARIABLE, &report)],
        );
        (outcome, text, began.elapsed(), stage.counts())
    };
    let (outcome, text, _, counts) =
        until_several_waited(|| run(&none()), |(.., counts)| have_several(counts));
    assert_eq!(outcome, "finished", "{text}");
    let failures = failures_of_several("client", &counts);
    let tally = for_each(&failures, |failure, tally| {
        let (outcome, text, time, counts) =
            until_several_waited(|| run(failure), |(.., counts)| counts.failed);
        tally.lock().unwrap().add(failure, &outcome, &text, counts.failed, time);
    });
    tally.show("client with many calls in flight", failures.len());
}

#[test]
fn batched_messages_may_fail_at_the_server() {
    let run = |failure: &InjectedFailure| {
        let mut stage = Stage::new();
        let armed = failure.to_string();
        let report = stage.report.path().to_str().unwrap().to_owned();
        let environment = [
            ("FAULT_SERVER_IDLE_MS", "100"),
            (FAILURE_VARIABLE, &armed),
            (REPORT_VARIABLE, &report),
        ];
        stage.fixture.register(&example("fault-server"), NUMBERS, &environment);
        let began = Instant::now();
        let (outcome, text) = run_together(&stage, failure, &[]);
        let time = began.elapsed();
        let log = stage.log();
        assert!(!log.contains("panicked"), "{failure}: {log}");
        let counts = stage.report.line_within(NEVER_LONGER).as_deref().map(CallCounts::parse);
        (outcome, text, time, counts)
    };
    let (outcome, text, _, counts) = until_several_waited(
        || run(&none()),
        |(.., counts)| counts.as_ref().is_some_and(have_several),
    );
    assert_eq!(outcome, "finished", "{text}");
    let mut failures = failures_of_several("server", &counts.unwrap());
    // These errors falsely tell the server that the client has disconnected.
    failures.retain(|failure| {
        failure.call.name != "sendmmsg" || !["EPIPE", "ECONNRESET"].contains(&failure.error.0)
    });
    let tally = for_each(&failures, |failure, tally| {
        let (outcome, text, time, counts) = until_several_waited(
            || run(failure),
            |(.., counts)| counts.as_ref().is_none_or(|counts| counts.failed),
        );
        let mut tally = tally.lock().unwrap();
        match counts {
            Some(counts) => tally.add(failure, &outcome, &text, counts.failed, time),
            None => tally.wrong.push(format!("{failure}: {outcome}: the server never ends")),
        }
    });
    tally.show("server of many calls in flight", failures.len());
}
