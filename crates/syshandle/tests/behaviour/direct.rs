//! Connections without a registration: doors and socket pairs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use syshandle::{
    Error, ErrorKind, Server,
    direct::{Connector, from_door, make_door, socket_pair},
};

use crate::support::LONG;
use crate::support::bench::{BENCH, Bench, BenchAsyncClient, BenchClient, Workbench};

const SHORT: Duration = Duration::from_millis(50);

fn server() -> Server {
    Server::new().class(BENCH, Workbench::default)
}

#[track_caller]
fn is(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn a_silent_peer_takes_no_more_time_than_the_connector_allows() {
    let connector = Connector::new().timeout(SHORT);
    let (ours, _silent) = socket_pair().unwrap();
    let error = connector.from_socket::<BenchClient>(ours).unwrap_err();
    is(&error, ErrorKind::TimedOut, "timed out waiting for the greeting");
    let (ours, _silent) = socket_pair().unwrap();
    let error = connector.from_door::<BenchClient>(ours).unwrap_err();
    is(&error, ErrorKind::TimedOut, "timed out waiting for the server to open the door");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent");
    let listener = syshandle_os::Listener::bind(&path).unwrap();
    let error = connector.connect::<BenchClient>(&path).unwrap_err();
    is(&error, ErrorKind::TimedOut, "timed out waiting for the greeting");
    drop(listener);
}

#[test]
fn a_connector_reaches_doors_and_servers_like_the_functions_of_its_name() {
    let connector = Connector::new().timeout(LONG);
    let door = make_door::<dyn Bench, _>(Workbench::default()).unwrap();
    connector.from_door::<BenchClient>(door).unwrap().nothing().unwrap();
    let (ours, theirs) = socket_pair().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| server().socket(theirs).run());
        connector.from_socket::<BenchClient>(ours).unwrap().nothing().unwrap();
        server.join().unwrap().unwrap();
    });
}

#[test]
fn an_error_of_a_begun_call_names_the_method_once() {
    let (ours, theirs) = socket_pair().unwrap();
    let running = server().socket(theirs).start().unwrap();
    let client = Connector::new().timeout(LONG).from_socket::<BenchClient>(ours).unwrap();
    running.shutdown();
    running.join().unwrap();
    for error in [
        client.nothing().unwrap_err(),
        BenchAsyncClient::from(&client).nothing().wait().unwrap_err(),
    ] {
        assert_eq!(error.to_string().matches("Bench::nothing").count(), 1, "{error}");
    }
}

#[test]
fn one_end_of_a_connection_is_no_door_and_says_so_at_once() {
    let (ours, theirs) = socket_pair().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| server().socket(theirs).run());
        let connector = Connector::new().timeout(LONG);
        let error = connector.from_door::<BenchClient>(ours).unwrap_err();
        is(&error, ErrorKind::WrongHandle, "use `from_socket`");
        server.join().unwrap().unwrap();
    });
}

#[test]
fn a_door_is_no_end_of_a_connection_and_says_so_at_once() {
    let door = make_door::<dyn Bench, _>(Workbench::default()).unwrap();
    let copy = door.try_clone().unwrap();
    let error = Connector::new().timeout(LONG).from_socket::<BenchClient>(door).unwrap_err();
    is(&error, ErrorKind::WrongHandle, "use `from_door`");
    // The attempt has not harmed the door.
    from_door::<BenchClient>(copy).unwrap().nothing().unwrap();
}

#[test]
fn a_missing_class_is_the_same_error_over_every_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (_ours, theirs) = socket_pair().unwrap();
    let servers =
        [Server::new(), Server::new().path(folder.path().join("s")), Server::new().socket(theirs)];
    for server in servers {
        is(&server.run().unwrap_err(), ErrorKind::NoSuchClass, "this server has no class");
    }
}

#[test]
fn a_server_refuses_a_handle_that_is_no_socket_of_the_right_sort() {
    let null: OwnedFd = File::options().read(true).write(true).open("/dev/null").unwrap().into();
    let error = server().socket(null).run().unwrap_err();
    is(&error, ErrorKind::WrongHandle, "got a device");
    let stream: OwnedFd = std::os::unix::net::UnixStream::pair().unwrap().0.into();
    let error = server().socket(stream).run().unwrap_err();
    is(&error, ErrorKind::WrongHandle, "seqpacket");
}

#[test]
fn a_path_that_no_socket_can_have_is_refused_with_the_rule() {
    let long = "x".repeat(108);
    for path in ["", "\0name", "a\0b", &long] {
        let error = server().path(path).run().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("has 1 to 107 bytes and no zero byte"), "{error}: {cause}");
    }
}
