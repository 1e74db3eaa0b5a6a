//! Processes that fork a child without `exec`: the child keeps their sockets open, and delays no
//! other process.
#![cfg(not(windows))]

use std::process::Stdio;
use std::time::Instant;

use syshandle::{ErrorKind, Ran};
use syshandle_testkit::{CLIENT, PATIENCE, Place, Process, SERVER, TEST_SERVICE, until};

#[test]
fn a_dead_server_is_replaced_though_its_child_keeps_the_socket() {
    let place = Place::new();
    let environment = [("TESTKIT_FORK", "yes"), ("TESTKIT_IDLE_MS", "60000")];
    place.register(&SERVER, TEST_SERVICE, &environment);
    let client = place.activate().unwrap();
    let server = Process::open(client.who().unwrap().server_pid).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.crash());
        server.wait();
        assert_eq!(place.processes("testkit-server").len(), 1, "the child lives");
        let began = Instant::now();
        let next = place.activate().unwrap();
        assert!(began.elapsed() < PATIENCE / 2);
        let pid = next.who().unwrap().server_pid;
        assert_ne!(pid, server.pid());
        // The second activation uses the socket of the new server.
        assert_eq!(place.activate().unwrap().who().unwrap().server_pid, pid);
        // The call to the dead server has ended, although the server's child keeps the connection
        // open.
        let error = call.join().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Disconnected, Ran::Maybe), "{error:?}");
        assert!(began.elapsed() < PATIENCE / 2);
    });
}

#[test]
fn a_server_ends_though_the_child_of_a_dead_client_keeps_the_connection() {
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "50")]);
    let mut command = place.command(&CLIENT);
    let mut client =
        command.arg("--fork").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    client.wait().unwrap();
    until("the server ends", || place.processes("testkit-server").is_empty());
    assert_eq!(place.processes("testkit-client").len(), 1, "the child lives");
}
