//! Kills either side at each step of the timeline, and checks the contents of the file and the
//! behaviour of the other side.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::{ErrorKind, handle::Event, object::Proxy};
use syshandle_testkit::{Fixture, LineFifo, Process, kernel, wait_until};

const CLIENT: &str = env!("CARGO_BIN_EXE_sparkle-client");
const SERVER: &str = env!("CARGO_BIN_EXE_sparkle-server");

/// Time limit for the surviving side to finish.
const SOON: Duration = Duration::from_secs(1);

/// The sample's registration in a test environment, with its timeline.
struct Sample {
    fixture: Fixture,
    fifo: LineFifo,
}

impl Sample {
    /// Registers the server, which stops at the given step (never for an empty string).
    fn new(server_halts: &str) -> Self {
        let fixture = Fixture::new();
        let fifo = fixture.fifo("timeline");
        let sample = Self { fixture, fifo };
        sample.register(server_halts);
        sample
    }

    fn register(&self, server_halts: &str) {
        let timeline = self.fifo.path().to_str().unwrap();
        let halt = format!("server: {server_halts}");
        let environment = [("SPARKLE_TIMELINE", timeline), ("SPARKLE_HALT", &halt)];
        self.fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &environment);
    }

    fn file(&self) -> PathBuf {
        self.fixture.path().join("dishes.txt")
    }

    /// Starts the client program, which stops at the given step (never for an empty string).
    fn client(&self, halts: &str) -> Child {
        let mut command = self.fixture.command(CLIENT.as_ref());
        command.env("SPARKLE_TIMELINE", self.fifo.path());
        command.env("SPARKLE_HALT", format!("client: {halts}"));
        command.arg(self.file()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until a side reaches a step.
    fn comes_to(&mut self, side: &str, step: &str) {
        let row = format!(" {side} {step}");
        while !self.fifo.line().ends_with(&row) {}
    }

    fn activate(&self) -> SparkleFinisherClient {
        self.fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap()
    }

    /// Returns the number of lines in the file. Fails if a line is partial or missing.
    fn lines(&self) -> usize {
        let text = fs::read_to_string(self.file()).unwrap();
        match text.as_str() {
            "" => 0,
            CLIENT_LINES => 6,
            text if text == [CLIENT_LINES, SERVER_LINES].concat() => 10,
            text => panic!("the file holds {text:?}"),
        }
    }

    /// Checks that the server finishes the file of another client.
    fn works(&self) {
        let file = self.file();
        fs::write(&file, "").unwrap();
        let output = self.client("").wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.lines(), 10);
    }
}

/// Checks that the surviving side took less than `SOON` since `began`.
fn soon(began: Instant, what: &str) {
    let time = began.elapsed();
    assert!(time < SOON, "{what} took {time:?}");
}

#[test]
fn a_client_that_is_killed_at_any_step_leaves_whole_lines_and_nothing_in_the_server() {
    for (step, lines) in [
        ("create file handle", 0),
        ("create event handle 1", 0),
        ("call server", 0),
        ("receive event handle 2", 0),
        ("signal event handle 1", 10),
        ("wait for event handle 2", 10),
        ("clean up", 10),
    ] {
        let mut sample = Sample::new("");
        // This client keeps the server running, so that the server's descriptors can be counted.
        let keeper = sample.activate();
        let server = Process::open(keeper.as_client().server().unwrap().pid).unwrap();
        let idle = server.descriptors().unwrap();
        let mut client = sample.client(step);
        sample.comes_to("client", step);
        client.kill().unwrap();
        let killed = Instant::now();
        client.wait().unwrap();
        if step == "receive event handle 2" {
            sample.comes_to("server", "clean up");
            soon(killed, "the server's work");
        }
        wait_until("the file is as it will be", || sample.lines() == lines);
        wait_until("the server has no more descriptors than before", || {
            server.descriptors().unwrap() == idle
        });
        assert_eq!(sample.lines(), lines, "{step}");
        sample.works();
        assert!(keeper.as_client().server().is_ok());
    }
}

#[test]
fn a_server_that_is_killed_at_any_step_ends_its_clients_wait() {
    for (step, lines, succeeds) in [
        ("receive file handle", 0, false),
        ("receive event handle 1", 0, false),
        ("create event handle 2", 0, false),
        ("return to client", 0, false),
        ("wait for event handle 1", 0, false),
        ("write to file handle", 10, false),
        ("signal event handle 2", 10, true),
        ("clean up", 10, true),
    ] {
        let mut sample = Sample::new(step);
        let client = sample.client("");
        sample.comes_to("server", step);
        let server = sample.fixture.processes("sparkle-server").pop().unwrap();
        server.kill();
        let killed = Instant::now();
        server.wait();
        let output = client.wait_with_output().unwrap();
        soon(killed, "the client's end");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), succeeds, "{step}: {error}");
        if !succeeds {
            assert!(error.contains("the server died (Disconnected"), "{error}");
        }
        assert_eq!(sample.lines(), lines, "{step}");
        sample.register("");
        sample.works();
    }
}

#[test]
fn a_stopped_server_delays_no_call_past_its_deadline() {
    let short = Duration::from_millis(300);
    let sample = Sample::new("");
    let keeper = sample.activate();
    let server = Process::open(keeper.as_client().server().unwrap().pid).unwrap();
    let mut file =
        File::options().write(true).read(true).create_new(true).open(sample.file()).unwrap();
    let (ready, second) = (Event::new().unwrap(), Event::new().unwrap());
    let client = sample.activate();
    let done = client.add_sparkle_finish_to_file(&file, &ready).unwrap();
    server.stop();

    let activation = sample.fixture.activation().timeout(short);
    let error = activation.activate::<SparkleFinisherClient>(SPARKLE_FINISHER.clsid()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false), "{error:?}");
    let hasty = client.with_timeout(short);
    let error = hasty.add_sparkle_finish_to_file(&file, &second).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true), "{error:?}");
    file.write_all(CLIENT_LINES.as_bytes()).unwrap();
    ready.set().unwrap();
    let error = hasty.wait(&done).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    assert_eq!(sample.lines(), 6);

    server.resume();
    client.wait(&done).unwrap();
    assert_eq!(sample.lines(), 10);
    assert!(keeper.as_client().server().is_ok());
}

#[test]
fn a_client_that_lets_go_right_after_signalling_gets_its_file_finished() {
    let mut sample = Sample::new("");
    let (mut file, ready) = opened(&sample);
    let client = sample.activate();
    client.add_sparkle_finish_to_file(&file, &ready).unwrap();
    file.write_all(CLIENT_LINES.as_bytes()).unwrap();
    ready.set().unwrap();
    drop(client);
    sample.comes_to("server", "clean up");
    assert_eq!(sample.lines(), 10);
}

#[test]
fn a_client_that_lets_go_before_signalling_gets_its_file_finished() {
    let mut sample = Sample::new("");
    let (mut file, ready) = opened(&sample);
    let client = sample.activate();
    let server = Process::open(client.as_client().server().unwrap().pid).unwrap();
    let done = client.add_sparkle_finish_to_file(&file, &ready).unwrap();
    drop(client);
    // The connection has ended, so the server watches this process to notice its death.
    wait_until("the server hears of it", || server.watches_a_process() || kernel() < (6, 5));
    file.write_all(CLIENT_LINES.as_bytes()).unwrap();
    ready.set().unwrap();
    sample.comes_to("server", "clean up");
    assert_eq!(sample.lines(), 10);
    assert!(done.poll().unwrap());
    // The server exits, because it has no clients left.
    server.wait();
}

#[test]
fn the_output_of_a_client_whose_server_dies_says_what_happened() {
    let mut sample = Sample::new("return to client");
    let mut client = sample.client("");
    sample.comes_to("server", "return to client");
    sample.fixture.processes("sparkle-server").pop().unwrap().kill();
    let mut error = String::new();
    client.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    client.wait().unwrap();
    let method = "SparkleFinisher::add_sparkle_finish_to_file";
    assert_eq!(
        error,
        format!("sparkle-client: {method}: the server died (Disconnected; may have run)\n")
    );
}

/// Creates the file, and the event that signals that it is ready.
fn opened(sample: &Sample) -> (File, Event) {
    let file = File::options().write(true).read(true).create_new(true).open(sample.file());
    (file.unwrap(), Event::new().unwrap())
}
