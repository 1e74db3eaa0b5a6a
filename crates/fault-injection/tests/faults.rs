//! Makes every system call of client and server fail, one at a time: promises 1, 2, 8 and 13 of
//! `docs/promises.md`.
//!
//! `cargo test` tries each call with one error, and `SYSHANDLE_TEST_FORM=full` with all errors.

#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test shows what came of the faults")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::Proxy;
use syshandle_fault_injection::calls::{Call, ERRORS};
use syshandle_fault_injection::faults::{Counts, FAULT, Fault, REPORT};
use syshandle_fault_injection::finish::{Ending, finish};
use syshandle_fault_injection::together::{NUMBERS, TOGETHER};
use syshandle_testkit::{Fixture, LineFifo, Process, wait_until};

/// Maximum time of a client, with any failing call. Each of its steps has a timeout of ten seconds.
const NEVER_LONGER: Duration = Duration::from_secs(40);

/// Number of failures that are tried at the same time.
const AT_ONCE: usize = 6;

/// Timeout of each step of a client. No failure may delay a step as long as this.
const STEP: Duration = Duration::from_secs(10);

/// Returns the path of an example of this package.
fn example(name: &str) -> PathBuf {
    syshandle_testkit::example("syshandle-fault-injection", name)
}

/// The sample, with programs whose calls fail.
struct Stage {
    fixture: Fixture,
    report: LineFifo,
    files: u32,
}

/// The outcome of a run of the client.
#[derive(Debug)]
struct Run {
    ending: String,
    text: String,
    counts: Counts,
    time: Duration,
    lines: usize,
}

impl Stage {
    fn new() -> Self {
        let fixture = Fixture::new();
        let report = fixture.fifo("report");
        Self { fixture, report, files: 0 }
    }

    /// Returns a new file name, because a server may still use the file of a client that has given
    /// up.
    fn new_file(&mut self) -> PathBuf {
        self.files += 1;
        self.fixture.path().join(format!("dishes-{}.txt", self.files))
    }

    /// Registers the server, with a failure to inject.
    fn register(&self, fault: Option<Fault>) {
        let fault = fault.map(|fault| fault.to_string()).unwrap_or_default();
        let mut environment = vec![("FAULT_SERVER_IDLE_MS", "500")];
        if !fault.is_empty() {
            environment.push((FAULT, &fault));
            environment.push((REPORT, self.report.path().to_str().unwrap()));
        }
        let server = example("fault-server");
        self.fixture.register(&server, SPARKLE_FINISHER, &environment);
    }

    /// Runs a client with a failure to inject.
    fn run_client(&mut self, fault: Fault) -> Run {
        let file = self.new_file();
        let began = Instant::now();
        let mut command = self.fixture.command(&example("fault-client"));
        command.env(FAULT, fault.to_string()).env(REPORT, self.report.path());
        command.arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = output_in_time(command.spawn().unwrap(), &fault);
        let time = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert_ne!(output.status.code(), Some(77), "{text}");
        assert!(output.status.success(), "{fault}: {}: {text}", output.status);
        let ending = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // After another ending, the server may still write to the file.
        let lines = if ending == "finished" { lines(&file) } else { 0 };
        Run { ending, text, counts: self.counts(), time, lines }
    }

    /// Checks that the server finishes the file of another client.
    fn serves_the_next_client(&mut self, fault: &Fault) {
        let (mut file, mut last) = (PathBuf::new(), String::new());
        let deadline = Instant::now() + NEVER_LONGER;
        wait_until("the next client is served", || {
            file = self.new_file();
            let (ending, text) = finish(&self.fixture.activation(), &file, STEP);
            last = text;
            ending == Ending::Finished || Instant::now() > deadline
        });
        assert_eq!(lines(&file), 10, "{fault}: {last}");
    }

    /// Returns the log of the server.
    fn log(&self) -> String {
        let files = fs::read_dir(self.fixture.runtime().join("syshandle")).into_iter().flatten();
        let logs = files.flatten().filter(|file| file.path().extension() == Some("log".as_ref()));
        logs.map(|log| fs::read_to_string(log.path()).unwrap_or_default()).collect()
    }

    fn counts(&mut self) -> Counts {
        Counts::parse(&self.report.line())
    }
}

/// Returns the number of lines in a file, which must all be complete and start with the first one.
fn lines(file: &Path) -> usize {
    match fs::read_to_string(file).unwrap().as_str() {
        "" => 0,
        CLIENT_LINES => 6,
        text if text == [CLIENT_LINES, SERVER_LINES].concat() => 10,
        text => panic!("{} holds {text:?}", file.display()),
    }
}

fn output_in_time(mut child: Child, what: &Fault) -> Output {
    let deadline = Instant::now() + NEVER_LONGER;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("{what}: it hangs: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.wait_with_output().unwrap()
}

/// Returns the failures to try: each counted call with each error, or with one of them.
fn faults(counts: &Counts) -> Vec<Fault> {
    let full = std::env::var("SYSHANDLE_TEST_FORM").is_ok_and(|how| how == "full");
    let mut faults = Vec::new();
    for (index, (name, count)) in counts.calls.iter().enumerate() {
        let call = Call::named(name).unwrap();
        // Later calls with the same name are made in a loop, and fail like the earlier ones.
        for nth in 1..=(*count).min(40) {
            match full {
                true => faults.extend(call.errors().map(|error| Fault { call, nth, error })),
                false => {
                    let errors: Vec<_> = call.errors().collect();
                    // The error depends only on the call, so that each run tries the same.
                    let error = errors[(index * 7 + nth as usize) % errors.len()];
                    faults.push(Fault { call, nth, error });
                }
            }
        }
    }
    faults
}

/// Tries failures in parallel, each with its own server. Most of the time is spent waiting.
fn for_each(faults: &[Fault], try_one: impl Fn(&Fault, &Mutex<Tally>) + Sync) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(fault, &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn none() -> Fault {
    Fault { call: Call::named("socket").unwrap(), nth: 0, error: ERRORS[0] }
}

/// A summary of all failures, for printing.
#[derive(Default)]
struct Tally {
    endings: BTreeMap<String, u32>,
    came_to_pass: usize,
    slowest: (Duration, String),
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, fault: &Fault, ending: &str, text: &str, failed: bool, time: Duration) {
        *self.endings.entry(ending.to_owned()).or_default() += 1;
        self.came_to_pass += usize::from(failed);
        self.slowest = std::mem::take(&mut self.slowest).max((time, fault.to_string()));
        if let Err(why) = right(fault, ending, failed) {
            self.wrong.push(format!("{fault}: {ending}: {why}: {text}"));
        }
        if time > STEP {
            self.wrong.push(format!("{fault}: {ending}: it took {time:?}: {text}"));
        }
    }

    #[track_caller]
    fn show(self, what: &str, faults: usize) {
        println!(
            "{what}: {faults} faults, {} came to pass, slowest {:?}",
            self.came_to_pass, self.slowest
        );
        for (ending, count) in &self.endings {
            println!("    {count:>5} {ending}");
        }
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
        assert!(self.came_to_pass * 2 > faults, "most of them come to pass");
    }
}

/// The errors that mean a lack of resources.
const LACKS: [&str; 4] = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"];

/// The error kinds that name a culprit other than the system.
const BLAMES: [&str; 4] = ["ActivationDenied", "BadRegistration", "Insecure", "NoRuntimeDirectory"];

/// Returns whether a run with this failure may have this ending.
fn right(fault: &Fault, ending: &str, failed: bool) -> Result<(), &'static str> {
    let interrupted = fault.error.0 == "EINTR";
    match ending.split(' ').next().unwrap_or_default() {
        "finished" | "own" => Ok(()),
        _ if !failed => Err("nothing failed"),
        _ if interrupted => Err("a signal is no failure"),
        kind if LACKS.contains(&fault.error.0) && BLAMES.contains(&kind) => {
            Err("it blames what is all right")
        }
        "TimedOut" => Err("nobody is to wait for nothing"),
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
    assert_eq!((run.ending.as_str(), run.lines), ("finished", 10), "{}", run.text);
    let idle = server.descriptors().unwrap();
    let faults = faults(&run.counts);
    let mut tally = Tally::default();
    for fault in &faults {
        let run = stage.run_client(*fault);
        tally.add(fault, &run.ending, &run.text, run.counts.failed, run.time);
        assert!(run.ending != "finished" || run.lines == 10, "{fault}: {} lines", run.lines);
        wait_until("the server has no more descriptors than before", || {
            server.descriptors().unwrap().values().sum::<usize>() <= idle.values().sum::<usize>()
        });
    }
    assert!(keeper.as_client().server().is_ok());
    tally.show("client", faults.len());
}

#[test]
fn a_client_any_of_whose_calls_fails_while_it_starts_the_server_leaves_no_obstacle() {
    let counts = {
        let mut stage = Stage::new();
        stage.register(None);
        let run = stage.run_client(none());
        assert_eq!((run.ending.as_str(), run.lines), ("finished", 10), "{}", run.text);
        run.counts
    };
    let faults = faults(&counts);
    let tally = for_each(&faults, |fault, tally| {
        // The server inherits the failing calls from the client, and ends with the fixture.
        let mut stage = Stage::new();
        stage.register(None);
        let mut command = stage.fixture.command(&example("fault-client"));
        command.env(FAULT, fault.to_string()).env(REPORT, stage.report.path());
        command.arg(stage.new_file()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let output = output_in_time(command.spawn().unwrap(), fault);
        let time = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert!(output.status.success(), "{fault}: {}: {text}", output.status);
        let ending = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // The next client must be served, except during the time in which the failure note is
        // reported.
        stage.serves_the_next_client(fault);
        for server in stage.fixture.processes("fault-server") {
            server.kill();
        }
        let failed = stage.counts().failed;
        tally.lock().unwrap().add(fault, &ending, &text, failed, time);
    });
    tally.show("client that starts the server", faults.len());
}

#[test]
fn a_server_any_of_whose_calls_fails_serves_the_next_client() {
    let mut stage = Stage::new();
    // Counts the server's calls until it ends.
    stage.register(Some(none()));
    let (ending, text) = finish(&stage.fixture.activation(), &stage.new_file(), STEP);
    assert_eq!(ending, Ending::Finished, "{text}");
    let counts = stage.counts();
    let mut faults = faults(&counts);
    // These errors falsely report that the client is gone. The server may only close the
    // connection, with the client's messages still unread.
    let gone = |fault: &Fault| ["EPIPE", "ECONNRESET"].contains(&fault.error.0);
    let sends = ["sendto", "sendmsg", "sendmmsg"];
    faults.retain(|fault| !sends.contains(&fault.call.name) || !gone(fault));
    let tally = for_each(&faults, |fault, tally| {
        let mut stage = Stage::new();
        stage.register(Some(*fault));
        let began = Instant::now();
        let mut command = stage.fixture.command(&example("fault-client"));
        command.arg(stage.new_file()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A separate process, because the server keeps working for a failed client until the
        // process ends.
        let output = output_in_time(command.spawn().unwrap(), fault);
        let time = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let ending = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // Another client must be served, by the same server or by a new one without failures.
        stage.register(None);
        stage.serves_the_next_client(fault);
        let log = stage.log();
        assert!(!log.contains("panicked"), "{fault}: {log}");
        // The server ends by itself, and reports whether a call failed.
        match stage.report.line_within(NEVER_LONGER).as_deref().map(Counts::parse) {
            Some(counts) => {
                tally.lock().unwrap().add(fault, &ending, &text, counts.failed, time);
            }
            None => {
                let wrong = format!("{fault}: {ending}: the server never ends");
                tally.lock().unwrap().wrong.push(wrong);
            }
        }
    });
    tally.show("server", faults.len());
}

/// Runs a client that starts many calls at once. Returns the outcome and the text of the error.
fn run_together(stage: &Stage, fault: &Fault, environment: &[(&str, &str)]) -> (String, String) {
    let mut command = stage.fixture.command(&example("fault-client"));
    command.envs(environment.iter().copied()).arg(TOGETHER);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output_in_time(command.spawn().unwrap(), fault);
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert!(output.status.success(), "{fault}: {}: {text}", output.status);
    (String::from_utf8_lossy(&output.stdout).trim().to_owned(), text)
}

/// Returns failures of the system calls that send or receive several messages: of the first call
/// and of a later one.
fn faults_of_several(whose: &str, counts: &Counts) -> Vec<Fault> {
    assert!(have_several(counts), "{whose}: {counts:?}");
    let each = |name| {
        let call = Call::named(name).unwrap();
        [1, 2]
            .into_iter()
            .flat_map(move |nth| call.errors().map(move |error| Fault { call, nth, error }))
    };
    SEVERAL.into_iter().flat_map(each).collect()
}

/// Repeats a run until several messages have waited at once, which depends on the scheduler.
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

/// Returns whether several messages were sent and received at once, at least twice each.
fn have_several(counts: &Counts) -> bool {
    SEVERAL.into_iter().all(|name| counts.calls.iter().any(|(call, n)| call == name && *n >= 2))
}

const SEVERAL: [&str; 2] = ["sendmmsg", "recvmmsg"];

#[test]
fn batched_messages_may_fail_at_the_client() {
    let run = |fault: &Fault| {
        let mut stage = Stage::new();
        stage.fixture.register(
            &example("fault-server"),
            NUMBERS,
            &[("FAULT_SERVER_IDLE_MS", "100")],
        );
        let armed = fault.to_string();
        let report = stage.report.path().to_str().unwrap().to_owned();
        let began = Instant::now();
        let (ending, text) = run_together(&stage, fault, &[(FAULT, &armed), (REPORT, &report)]);
        (ending, text, began.elapsed(), stage.counts())
    };
    let (ending, text, _, counts) =
        until_several_waited(|| run(&none()), |(.., counts)| have_several(counts));
    assert_eq!(ending, "finished", "{text}");
    let faults = faults_of_several("client", &counts);
    let tally = for_each(&faults, |fault, tally| {
        let (ending, text, time, counts) =
            until_several_waited(|| run(fault), |(.., counts)| counts.failed);
        tally.lock().unwrap().add(fault, &ending, &text, counts.failed, time);
    });
    tally.show("client with many calls in flight", faults.len());
}

#[test]
fn batched_messages_may_fail_at_the_server() {
    let run = |fault: &Fault| {
        let mut stage = Stage::new();
        let armed = fault.to_string();
        let report = stage.report.path().to_str().unwrap().to_owned();
        let environment = [("FAULT_SERVER_IDLE_MS", "100"), (FAULT, &armed), (REPORT, &report)];
        stage.fixture.register(&example("fault-server"), NUMBERS, &environment);
        let began = Instant::now();
        let (ending, text) = run_together(&stage, fault, &[]);
        let time = began.elapsed();
        let log = stage.log();
        assert!(!log.contains("panicked"), "{fault}: {log}");
        let counts = stage.report.line_within(NEVER_LONGER).as_deref().map(Counts::parse);
        (ending, text, time, counts)
    };
    let (ending, text, _, counts) = until_several_waited(
        || run(&none()),
        |(.., counts)| counts.as_ref().is_some_and(have_several),
    );
    assert_eq!(ending, "finished", "{text}");
    let mut faults = faults_of_several("server", &counts.unwrap());
    // These errors falsely report that the client is gone.
    faults.retain(|fault| {
        fault.call.name != "sendmmsg" || !["EPIPE", "ECONNRESET"].contains(&fault.error.0)
    });
    let tally = for_each(&faults, |fault, tally| {
        let (ending, text, time, counts) = until_several_waited(
            || run(fault),
            |(.., counts)| counts.as_ref().is_none_or(|counts| counts.failed),
        );
        let mut tally = tally.lock().unwrap();
        match counts {
            Some(counts) => tally.add(fault, &ending, &text, counts.failed, time),
            None => tally.wrong.push(format!("{fault}: {ending}: the server never ends")),
        }
    });
    tally.show("server of many calls in flight", faults.len());
}
