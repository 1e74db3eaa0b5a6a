//! Jumps of the wall clock affect no deadline, no timer and no decision of an activation.
//!
//! The test runs itself again with libfaketime, which changes the wall clock of a process but not
//! its monotonic clock. The server runs with the same clock. The test is skipped if libfaketime is
//! not installed.

#![cfg(not(windows))]
#![expect(clippy::disallowed_methods, reason = "the test is about the wall clock")]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use syshandle::handle::{Event, Timer};
use syshandle::{Error, ErrorKind};
use syshandle_registry::Registration;
use syshandle_testkit::{
    Fixture, Process, SERVER, TEST_SERVICE, TestServiceClient, copy, wait_until,
};

/// Environment variable with the path of the file from which libfaketime reads the time.
const TIME_FILE: &str = "FAKETIME_TIMESTAMP_FILE";

/// Times in the format of libfaketime. The clock jumps from each to the next.
const JUMPS: [&str; 7] = [
    "+0",
    "-1d",
    "+1d",
    "@1970-01-01 00:00:05",
    "+0",
    "@2040-01-01 00:00:00",
    "@1970-01-02 00:00:00",
];

/// A duration that is shorter than each jump, and long enough even on a busy machine.
const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(3600);

/// Returns the environment variables that change the wall clock of a process.
fn environment(library: &Path, time: &Path) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    [
        ("LD_PRELOAD", text(library)),
        (TIME_FILE, text(time)),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
        // Makes libfaketime read the file at each query of the time, and leave the times of files
        // unchanged.
        ("FAKETIME_NO_CACHE", "1".into()),
        ("NO_FAKE_STAT", "1".into()),
        ("FAKETIME_DISABLE_SHM", "1".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Finds libfaketime in the folders used by Debian, Fedora and Arch.
fn library() -> Option<PathBuf> {
    let triplet = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    [&*triplet, "/usr/lib64/faketime", "/usr/lib/faketime"]
        .map(|folder| Path::new(folder).join("libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| path.exists())
}

/// The wall clock of this process and of the servers that it registers.
struct WallClock {
    file: PathBuf,
    environment: BTreeMap<String, String>,
}

impl WallClock {
    fn set(&self, time: &str) {
        fs::write(self.file.with_extension("new"), format!("{time}\n")).unwrap();
        fs::rename(self.file.with_extension("new"), &self.file).unwrap();
    }

    /// Sets the clock, and checks that this process sees the new time.
    fn jump(&self, time: &str) {
        let before = SystemTime::now();
        self.set(time);
        let after = SystemTime::now();
        let jump = after.duration_since(before).unwrap_or_else(|error| error.duration());
        assert!(
            jump > Duration::from_secs(3600),
            "the clock did not jump to {time}: {before:?}, then {after:?}"
        );
    }

    /// Registers the server under test to run with this clock.
    fn register(&self, fixture: &Fixture, program: &Path, variables: &[(&str, &str)]) {
        let mut registration = fixture.registration(program, TEST_SERVICE);
        self.prepare(&mut registration, variables);
        fixture.register_as(&registration);
    }

    fn prepare(&self, registration: &mut Registration, variables: &[(&str, &str)]) {
        registration.environment = self.environment.clone();
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        registration.environment.extend(variables);
    }
}

/// Runs a step during which the clock jumps. Returns the step's result and how long it took.
fn during_jump<R>(clock: &WallClock, jump: &str, step: impl FnOnce() -> R) -> (R, Duration) {
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            thread::sleep(SHORT / 4);
            clock.jump(jump);
        });
        (step(), start.elapsed())
    })
}

#[test]
fn jumps_of_the_wall_clock_change_no_deadline_and_no_activation() {
    let Some(file) = std::env::var_os(TIME_FILE) else { return run_with_clock() };
    let clock = WallClock {
        environment: environment(&library().unwrap(), Path::new(&file)),
        file: file.into(),
    };
    for times in JUMPS.windows(2) {
        let &[from, to] = times else { unreachable!("two times") };
        let jump = || clock.jump(to);
        println!("from {from} to {to}");
        clock.set(from);
        waits_last_as_long_as_they_should(&clock, to);
        clock.set(from);
        a_server_serves_on_and_ends_when_idle(&clock, jump);
        clock.set(from);
        a_hanging_program_has_its_start_timeout(&clock, to);
        clock.set(from);
        a_failure_is_remembered_for_its_time(&clock, jump);
        clock.set(from);
        a_changed_registration_is_seen(&clock, jump);
    }
}

/// Runs this test again with its own wall clock.
fn run_with_clock() {
    let Some(library) = library() else {
        return println!("skipped: libfaketime is not installed (Debian: faketime)");
    };
    let folder = tempfile::tempdir().unwrap();
    let time = folder.path().join("time");
    fs::write(&time, "+0\n").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.envs(environment(&library, &time)).args([
        "--exact",
        "jumps_of_the_wall_clock_change_no_deadline_and_no_activation",
        "--nocapture",
    ]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

fn waits_last_as_long_as_they_should(clock: &WallClock, jump: &str) {
    let fixture = Fixture::new();
    let mut fifo = fixture.fifo("hangs");
    let fifo_path = fifo.path().to_str().unwrap().to_owned();
    clock.register(&fixture, &SERVER, &[("TESTKIT_FIFO", &fifo_path)]);
    let client = fixture.activate().unwrap();
    thread::scope(|scope| {
        let hanging = scope.spawn(|| {
            let client = fixture.activate().unwrap().with_timeout(SHORT);
            let start = Instant::now();
            (client.hang().unwrap_err(), start.elapsed())
        });
        let waiting = scope.spawn(|| {
            let start = Instant::now();
            (Event::new().unwrap().wait_timeout(SHORT).unwrap(), start.elapsed())
        });
        let timer = scope.spawn(|| {
            let timer = Timer::new().unwrap();
            let start = Instant::now();
            timer.once(SHORT).unwrap();
            (timer.wait_timeout(LONG).unwrap(), start.elapsed())
        });
        fifo.line();
        let (answer, _) = during_jump(clock, jump, || {
            thread::sleep(SHORT / 2);
            client.peer_ids()
        });
        answer.unwrap();
        let (error, duration) = hanging.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
        lasts(duration, SHORT);
        let (is_set, duration) = waiting.join().unwrap();
        assert!(!is_set);
        lasts(duration, SHORT);
        let (is_expired, duration) = timer.join().unwrap();
        assert!(is_expired);
        lasts(duration, SHORT);
    });
}

/// Asserts that a wait was not shorter than its limit, and not much longer.
#[track_caller]
fn lasts(duration: Duration, limit: Duration) {
    assert!(duration >= limit && duration < Duration::from_secs(60), "{duration:?}, not {limit:?}");
}

fn a_server_serves_on_and_ends_when_idle(clock: &WallClock, jump: impl Fn()) {
    let fixture = Fixture::new();
    clock.register(&fixture, &SERVER, &[("TESTKIT_IDLE_MS", "400")]);
    let client = fixture.activate().unwrap();
    let server = client.peer_ids().unwrap().server_pid;
    let libraries = fs::read_to_string(format!("/proc/{server}/maps")).unwrap();
    assert!(libraries.contains("libfaketime"), "libfaketime is not loaded in the server");
    // The task waits for ten minutes, which is less than the jump.
    let outcome = fixture.path().join("outcome");
    let event = Event::new().unwrap();
    client.write_outcome(&File::create(&outcome).unwrap(), &event).unwrap();
    jump();
    assert_eq!(client.peer_ids().unwrap().server_pid, server);
    assert_eq!(fixture.activate().unwrap().peer_ids().unwrap().server_pid, server);
    assert_eq!(fs::read_to_string(&outcome).unwrap(), "", "the task must not time out");
    event.set().unwrap();
    wait_until("the task has ended", || fs::read_to_string(&outcome).unwrap().ends_with('\n'));
    assert!(!fs::read_to_string(&outcome).unwrap().contains("TimedOut"));
    let process = Process::open(server).unwrap();
    let start = Instant::now();
    drop(client);
    clock.jump("+400d");
    jump();
    process.wait();
    lasts(start.elapsed(), Duration::from_millis(400));
    assert_ne!(fixture.activate().unwrap().peer_ids().unwrap().server_pid, server);
}

fn a_hanging_program_has_its_start_timeout(clock: &WallClock, jump: &str) {
    let fixture = Fixture::new();
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    clock.prepare(&mut registration, &[("TESTKIT_STARTUP", "hang")]);
    registration.start_timeout = SHORT;
    fixture.register_as(&registration);
    let (error, duration) = during_jump(clock, jump, || fixture.activate().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::StartFailed, "{error:?}");
    assert!(error.to_string().contains("did not greet within 400ms"), "{error}");
    lasts(duration, SHORT);
    wait_until("the program is ended", || fixture.processes("testkit-server").is_empty());
}

fn a_failure_is_remembered_for_its_time(clock: &WallClock, jump: impl Fn()) {
    let fixture = Fixture::new();
    let program = fixture.path().join("program");
    clock.register(&fixture, &program, &[]);
    let is_remembered = |error: &Error| format!("{error:#}").contains("ms ago; the next start");
    let start = Instant::now();
    let first = fixture.activate().unwrap_err();
    assert_eq!(first.kind(), ErrorKind::StartFailed, "{first:?}");
    jump();
    let second = fixture.activate().unwrap_err();
    // The failure is reported for one second after it was noted.
    if start.elapsed() < Duration::from_secs(1) {
        assert!(is_remembered(&second), "{second:#}");
    }
    copy(&SERVER, &program);
    wait_until("the failure note has expired", || fixture.activate().is_ok());
}

fn a_changed_registration_is_seen(clock: &WallClock, jump: impl Fn()) {
    let fixture = Fixture::new();
    clock.register(&fixture, &SERVER, &[("TESTKIT_STARTUP_TEXT", "first")]);
    fixture.activate().unwrap().peer_ids().unwrap();
    jump();
    let program = fixture.path().join("other");
    copy(&SERVER, &program);
    clock.register(&fixture, &program, &[]);
    // Each registered program has its own server.
    let client: TestServiceClient = fixture.activate().unwrap();
    let server = client.peer_ids().unwrap().server_pid;
    let file = fs::read_link(format!("/proc/{server}/exe")).unwrap();
    assert_eq!(file, program);
}
