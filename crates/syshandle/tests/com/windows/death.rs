//! Servers start and end; either side can die without harm to the other.

use std::io::{BufRead, BufReader};
use std::process::Child;

use syshandle::{
    ErrorKind,
    handle::{Event, Process},
    object::{Class, ClassInfo},
};
use syshandle_os::under_wine;

use super::Test;
use super::clients::start;
use super::interface::{COLD, CRASHING, EverythingClient, KILLED};
use super::place::{until, until_ended};

pub(crate) const TESTS: &[Test] = &[
    ("the_first_call_starts_the_server_and_it_ends_when_nobody_uses_it", cold),
    ("many_clients_start_one_class_at_once", crowd),
    ("a_server_that_is_killed_ends_waits", killed_server),
    ("a_server_that_ends_in_a_call_ends_it", crash),
    ("a_client_that_is_killed_ends_its_jobs_and_the_server", killed_client),
];

fn cold() {
    let client = EverythingClient::activate(COLD).unwrap();
    let who = client.who().unwrap();
    assert_ne!(who.server_pid, std::process::id());
    assert_eq!(who.client_pid, std::process::id());
    let server = Process::open(who.server_pid).unwrap();
    drop(client);
    until_ended(&server);
    assert!(server.exit_status().unwrap().unwrap().success());
    // After the end of its server, the class can be activated again.
    assert!(EverythingClient::activate(COLD).unwrap().who().is_ok());
}

fn crowd() {
    let clients: Vec<_> = (0..8).map(|_| start(&["who"])).collect();
    for client in clients {
        let output = client.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.trim().parse::<u32>().is_ok(), "{text}");
    }
}

/// Activates a class whose server the test kills. Returns `None` if Wine still lists a killed
/// server of an earlier run as running: Wine keeps such entries for ever, and the class can't be
/// activated any more.
fn doomed<C: ClassInfo>(class: Class<C>) -> Option<EverythingClient> {
    match EverythingClient::activate(class) {
        Err(error) if under_wine() && error.kind() == ErrorKind::Disconnected => {
            say_skipped("this class's server was killed before: end this Wine (wineserver -k)");
            None
        }
        activated => Some(activated.unwrap()),
    }
}

#[expect(clippy::print_stderr, reason = "a test that can't run says so")]
fn say_skipped(why: &str) {
    eprintln!("skipped: {why}");
}

fn killed_server() {
    let Some(client) = doomed(KILLED) else { return };
    let server = Process::open(client.who().unwrap().server_pid).unwrap();
    let never = Event::new().unwrap();
    let error = std::thread::scope(|scope| {
        let wait = scope.spawn(|| client.wait(&never).unwrap_err());
        server.kill().unwrap();
        wait.join().unwrap()
    });
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error:?}");
    let error = client.who().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error:?}");
    drop(client);
    if under_wine() {
        return say_skipped("Wine doesn't start another server where one was killed");
    }
    // The next activation starts another server.
    assert!(EverythingClient::activate(KILLED).unwrap().who().is_ok());
}

fn crash() {
    let Some(client) = doomed(CRASHING) else { return };
    let error = client.crash().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true), "{error:?}");
}

fn killed_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outcome");
    let mut client = start(&["wait", path.to_str().unwrap()]);
    let server = Process::open(first_line(&mut client).parse().unwrap()).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    until("the job has ended", || {
        std::fs::read_to_string(&path).is_ok_and(|text| text == "ClientDied")
    });
    until_ended(&server);
}

/// Returns the first line that a program prints.
fn first_line(program: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
