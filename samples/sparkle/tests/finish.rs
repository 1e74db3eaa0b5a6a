//! Runs the sample's two programs, and checks the file that they write.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Output, Stdio};

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::ErrorKind;
use syshandle_testkit::{Fixture, copy};

const CLIENT: &str = env!("CARGO_BIN_EXE_sparkle-client");
const SERVER: &str = env!("CARGO_BIN_EXE_sparkle-server");

fn run(fixture: &Fixture, file: &Path) -> Output {
    fixture.command(CLIENT.as_ref()).arg(file).output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn fails(output: &Output, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in parts {
        assert!(error.contains(part), "{error}\nshould contain\n{part}");
    }
    assert!(output.stdout.is_empty(), "no joyful message");
}

#[test]
fn the_file_holds_the_clients_lines_and_then_the_servers() {
    let fixture = Fixture::new();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[]);
    let file = fixture.path().join("dishes.txt");
    let expected = "Loading dishes.\nLoading detergent.\nPre-washing.\nRinsing.\nWashing.\nRinsing.\n\
                    Dispensing sparkle finisher.\nRinsing.\nDrying.\nSparkly!\n";
    // Each further run overwrites the same lines.
    for _ in 0..3 {
        let output = run(&fixture, &file);
        succeeds(&output);
        let message = format!("Hooray, everything in {} is sparkly!\n", file.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), message);
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
    assert_eq!(fixture.processes("sparkle-server").len(), 1);
}

#[test]
fn a_longer_file_keeps_what_is_behind_the_lines() {
    let fixture = Fixture::new();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[]);
    let file = fixture.path().join("dishes.txt");
    fs::write(&file, "x".repeat(1000)).unwrap();
    succeeds(&run(&fixture, &file));
    let lines = [CLIENT_LINES, SERVER_LINES].concat();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, lines.clone() + &"x".repeat(1000 - lines.len()));
}

#[test]
fn without_an_argument_it_asks_for_the_name() {
    let fixture = Fixture::new();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[]);
    let ask = |answer: &str| {
        let mut command = fixture.command(CLIENT.as_ref());
        command.current_dir(fixture.path()).stdin(Stdio::piped());
        let mut client = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        client.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        client.wait_with_output().unwrap()
    };
    let output = ask("my dishes.txt\n");
    succeeds(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("Enter a file name: Hooray, "), "{text}");
    let lines = fs::read_to_string(fixture.path().join("my dishes.txt")).unwrap();
    assert_eq!(lines, [CLIENT_LINES, SERVER_LINES].concat());

    for nothing in ["", "\n"] {
        let output = ask(nothing);
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(error, "sparkle-client: no file name was entered\n");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[]);
    let folder = fixture.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fails(&run(&fixture, &folder), &["folder can't be opened to read and write: Is a directory"]);
    assert!(fixture.processes("sparkle-server").is_empty(), "nothing was started for that");

    let pipe = fixture.fifo("pipe");
    let parameter = "SparkleFinisher::add_sparkle_finish_to_file: parameter `decorate_this_file`";
    let wanted = "expected a file, got a pipe";
    fails(&run(&fixture, pipe.path()), &[parameter, wanted, "did not run"]);

    let missing = fixture.path().join("missing/dishes.txt");
    fails(&run(&fixture, &missing), &["can't be opened to read and write: No such file"]);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_that_says_so() {
    let fixture = Fixture::new();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[]);
    let file = fixture.path().join("dishes.txt");
    File::create(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let client = fixture.path().join("sparkle-client");
    copy(CLIENT.as_ref(), &client);
    let mut command = fixture.command(&client);
    if fs::write(&file, "").is_ok() {
        // Root may write to every file, so the client runs as another user.
        command.uid(65534).gid(65534);
    }
    let output = command.arg(&file).output().unwrap();
    fails(&output, &["dishes.txt can't be opened to read and write: Permission denied"]);

    // This client opens the file without write access, so the server refuses its call.
    let activation = fixture.activation();
    let client: SparkleFinisherClient = activation.activate(SPARKLE_FINISHER.clsid()).unwrap();
    let unwritable = File::open(&file).unwrap();
    let event = syshandle::handle::Event::new().unwrap();
    let error = client.add_sparkle_finish_to_file(&unwritable, &event).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::WrongHandle, false));
    let text = "parameter `decorate_this_file`: expected read | write, got a file with read";
    assert!(error.to_string().ends_with(text), "{error}");
}

#[test]
fn activation_without_a_registration_is_an_error() {
    let fixture = Fixture::new();
    fails(
        &run(&fixture, &fixture.path().join("dishes.txt")),
        &["is not registered", "did not run"],
    );
}

#[test]
fn a_file_that_cannot_hold_the_lines_is_the_servers_error() {
    let fixture = Fixture::new();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[]);
    let client: SparkleFinisherClient =
        fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    // Every write to this device fails with `ENOSPC`.
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    let ready = syshandle::handle::Event::new().unwrap();
    let done = client.add_sparkle_finish_to_file(&full, &ready).unwrap();
    ready.set().unwrap();
    let error = client.wait(&done).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, true));
    let text = "the file can't be finished: No space left on device";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn things_happen_in_the_order_of_the_timeline() {
    let fixture = Fixture::new();
    let mut fifo = fixture.fifo("timeline");
    let timeline = fifo.path().to_str().unwrap().to_owned();
    fixture.register(SERVER.as_ref(), SPARKLE_FINISHER, &[("SPARKLE_TIMELINE", &timeline)]);
    let file = fixture.path().join("dishes.txt");
    let mut command = fixture.command(CLIENT.as_ref());
    succeeds(&command.env("SPARKLE_TIMELINE", &timeline).arg(file).output().unwrap());

    let mut rows: Vec<(u128, String, String)> = (0..ROWS.len())
        .map(|_| {
            let row = fifo.line();
            let mut words = row.splitn(3, ' ');
            let mut word = || words.next().unwrap().to_owned();
            (word().parse().unwrap(), word(), word())
        })
        .collect();
    rows.sort();
    for side in ["client", "server"] {
        let happened: Vec<_> =
            rows.iter().filter(|row| row.1 == side).map(|row| row.2.as_str()).collect();
        let expected: Vec<_> = ROWS.iter().filter(|row| row.0 == side).map(|row| row.1).collect();
        assert_eq!(happened, expected);
    }
    // Checks the order of the steps at which one side waits for the other.
    let place_of = |side: &str, step: &str| {
        rows.iter().position(|row| row.1 == side && row.2 == step).unwrap()
    };
    for (first, then) in [
        (("client", "call server"), ("server", "receive file handle")),
        (("server", "return to client"), ("client", "receive event handle 2")),
        (("server", "wait for event handle 1"), ("client", "receive event handle 2")),
        (("server", "write to file handle"), ("client", "clean up")),
    ] {
        assert!(place_of(first.0, first.1) < place_of(then.0, then.1), "{rows:?}");
    }
}

const ROWS: [(&str, &str); 15] = [
    ("client", "create file handle"),
    ("client", "create event handle 1"),
    ("client", "call server"),
    ("server", "receive file handle"),
    ("server", "receive event handle 1"),
    ("server", "create event handle 2"),
    ("server", "return to client"),
    ("client", "receive event handle 2"),
    ("server", "wait for event handle 1"),
    ("client", "signal event handle 1"),
    ("server", "write to file handle"),
    ("client", "wait for event handle 2"),
    ("server", "signal event handle 2"),
    ("client", "clean up"),
    ("server", "clean up"),
];
