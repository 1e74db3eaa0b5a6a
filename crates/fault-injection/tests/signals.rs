//! Sends signals to processes, and stops and forks them, at critical moments (promises 8 and 12 in
//! `docs/promises.md`).

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::{ErrorKind, handle::Event, object::Proxy};
use syshandle_fault_injection::sample_client::{ClientOutcome, finish};
use syshandle_testkit::{Fixture, LineFifo, Process, SetOnDrop, TEST_TIMEOUT, program};

/// A fixture for the sample's programs, with a timeline of their steps.
struct Stage {
    fixture: Fixture,
    fifo: LineFifo,
}

impl Stage {
    /// Creates the fixture with programs that record their steps in the timeline.
    fn new() -> Self {
        let stage = Self::untold();
        let timeline = stage.fifo.path().to_str().unwrap();
        stage.register(&[("SPARKLE_TIMELINE", timeline)]);
        stage
    }

    /// Creates the fixture with a server that records nothing, for tests that don't read the
    /// timeline.
    fn untold() -> Self {
        let fixture = Fixture::new();
        let fifo = fixture.fifo("timeline");
        let stage = Self { fixture, fifo };
        stage.register(&[]);
        stage
    }

    fn register(&self, environment: &[(&str, &str)]) {
        let server = program("sparkle", "sparkle-server");
        self.fixture.register(&server, SPARKLE_FINISHER, environment);
    }

    fn file(&self) -> std::path::PathBuf {
        self.fixture.path().join("dishes.txt")
    }

    fn client(&self) -> Child {
        let mut command = self.fixture.command(&program("sparkle", "sparkle-client"));
        command.env("SPARKLE_TIMELINE", self.fifo.path());
        command.arg(self.file()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn comes_to(&mut self, side: &str, step: &str) {
        let row = format!(" {side} {step}");
        while !self.fifo.line().ends_with(&row) {}
    }

    #[track_caller]
    fn is_finished(&self) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert_eq!(text, [CLIENT_LINES, SERVER_LINES].concat());
    }
}

const SERVER_STEPS: [&str; 8] = [
    "receive file handle",
    "receive event handle 1",
    "create event handle 2",
    "return to client",
    "wait for event handle 1",
    "write to file handle",
    "signal event handle 2",
    "clean up",
];

const CLIENT_STEPS: [&str; 6] = [
    "create file handle",
    "create event handle 1",
    "call server",
    "receive event handle 2",
    "signal event handle 1",
    "wait for event handle 2",
];

/// The server is stopped at each of its steps. A client with a deadline gets an error when the
/// deadline passes. After the server continues, it serves the waiting client normally.
#[test]
fn a_server_stopped_at_any_step_delays_no_call_past_its_deadline() {
    let short = Duration::from_millis(200);
    for step in SERVER_STEPS {
        let mut stage = Stage::new();
        // This client keeps the server running, so that the stopped server is the one in use.
        let keeper: SparkleFinisherClient =
            stage.fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
        let server = Process::open(keeper.as_client().server().unwrap().pid).unwrap();
        let mut client = stage.client();
        // The server may already be past the step when it stops. So each run stops it at that step
        // or somewhat later.
        stage.comes_to("server", step);
        server.stop();
        let began = Instant::now();
        let hasty = stage.fixture.activation().timeout(short);
        let activated = hasty.activate::<SparkleFinisherClient>(SPARKLE_FINISHER.clsid());
        let error = activated.unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::TimedOut, false),
            "{step}: {error}"
        );
        let hasty = keeper.with_timeout(short);
        let (file, event) = (File::open("/dev/null").unwrap(), Event::new().unwrap());
        let error = hasty.add_sparkle_finish_to_file(&file, &event).unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::TimedOut, true),
            "{step}: {error}"
        );
        let error = hasty.wait(&event).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{step}: {error}");
        assert!(began.elapsed() < TEST_TIMEOUT, "{step}: {:?}", began.elapsed());
        server.resume();
        assert!(client.wait().unwrap().success(), "{step}");
        stage.is_finished();
    }
}

/// A client is stopped at each of its steps. It delays no other client, and continues normally
/// afterwards.
#[test]
fn a_client_stopped_at_any_step_delays_no_other_client() {
    for step in CLIENT_STEPS {
        let mut stage = Stage::new();
        let mut client = stage.client();
        stage.comes_to("client", step);
        let stopped = Process::open(client.id()).unwrap();
        stopped.stop();
        let others = stage.fixture.path().join("others.txt");
        // The client may be stopped while it holds the lock to start the server. Then the other
        // clients time out, and are served after the client continues.
        let (outcome, text) = finish(&stage.fixture.activation(), &others, Duration::from_secs(20));
        let locked = matches!(outcome, ClientOutcome::Error(ErrorKind::TimedOut, false));
        assert!(outcome == ClientOutcome::Finished || locked, "{step}: {outcome}: {text}");
        stopped.resume();
        assert!(client.wait().unwrap().success(), "{step}");
        stage.is_finished();
        if locked {
            println!("{step}: stopped while holding the lock");
            let (outcome, text) = finish(&stage.fixture.activation(), &others, TEST_TIMEOUT);
            assert_eq!(outcome, ClientOutcome::Finished, "{step}: {text}");
        }
        assert_eq!(fs::read_to_string(&others).unwrap(), [CLIENT_LINES, SERVER_LINES].concat());
    }
}

/// While calls run, signals are sent continuously to every thread of client and server. They
/// interrupt every system call that can be interrupted.
#[test]
fn continuous_signals_make_no_call_fail() {
    let stage = Stage::untold();
    let keeper: SparkleFinisherClient =
        stage.fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    let server = keeper.as_client().server().unwrap().pid;
    let (signals, client, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for pid in [server, client.load(Ordering::SeqCst)] {
                    if let Some(process) = Process::open(pid) {
                        process.interrupt();
                        signals.fetch_add(1, Ordering::SeqCst);
                    }
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let _done = SetOnDrop(&done);
        for _ in 0..100 {
            fs::write(stage.file(), "").unwrap();
            let child = stage.client();
            client.store(child.id(), Ordering::SeqCst);
            let output = child.wait_with_output().unwrap();
            client.store(0, Ordering::SeqCst);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{error}");
            stage.is_finished();
        }
    });
    println!("{} interruptions", signals.load(Ordering::SeqCst));
    assert!(keeper.as_client().server().is_ok());
}

/// While this process receives handles, other threads start programs. No program may inherit any of
/// the handles.
#[test]
fn received_handles_are_not_inherited_by_a_program_started_at_that_moment() {
    let stage = Stage::untold();
    let client: SparkleFinisherClient =
        stage.fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    let marked = stage.fixture.path().join("marked");
    let mut file = File::options().read(true).write(true).create_new(true).open(&marked).unwrap();
    file.write_all(b"marked").unwrap();
    let inode = file.metadata().unwrap().ino();
    let (arrived, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let programs = std::thread::scope(|scope| {
        // Receives handles in this process: events from the server, and a file from a socket.
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let (a, b) = syshandle::handle::Seqpacket::pair().unwrap();
                for _ in 0..50 {
                    use std::os::fd::AsFd;
                    a.send(&[std::io::IoSlice::new(b"x")], &[file.as_fd(); 20]).unwrap();
                    let mut handles = Vec::new();
                    b.receive(&mut [0; 8], &mut handles).unwrap();
                    assert_eq!(handles.len(), 20);
                    arrived.fetch_add(20, Ordering::SeqCst);
                }
                let event = Event::new().unwrap();
                client.add_sparkle_finish_to_file(&file, &event).unwrap();
                arrived.fetch_add(1, Ordering::SeqCst);
            }
        });
        let _done = SetOnDrop(&done);
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| start_programs(inode))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
    });
    let arrived = arrived.load(Ordering::SeqCst);
    println!("{programs} programs started while {arrived} handles arrived");
    assert!(arrived > 100 && programs >= 300);
}

/// Starts programs that list their open descriptors. Returns how many were started.
fn start_programs(inode: u64) -> u32 {
    for _ in 0..100 {
        let script =
            "for fd in /proc/self/fd/*; do readlink $fd; done; stat -L -c %i /proc/self/fd/*";
        let output = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: BTreeSet<&str> = text.lines().collect();
        assert!(!lines.contains(inode.to_string().as_str()), "{text}");
        let leaked = |line: &&&str| line.contains("eventfd") || line.contains("marked");
        assert_eq!(lines.iter().find(leaked), None, "{text}");
    }
    100
}
