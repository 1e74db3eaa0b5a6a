//! Processes fork a child without `exec`, which keeps their sockets open. No other process may be
//! delayed by that.
#![cfg(not(windows))]

use std::process::Stdio;
use std::time::Instant;

use syshandle::ErrorKind;
use syshandle_testkit::{CLIENT, Fixture, Process, SERVER, TEST_SERVICE, TEST_TIMEOUT, wait_until};

#[test]
fn a_dead_server_is_replaced_though_its_child_keeps_the_socket() {
    let fixture = Fixture::new();
    let environment = [("TESTKIT_FORK", "yes"), ("TESTKIT_IDLE_MS", "60000")];
    fixture.register(&SERVER, TEST_SERVICE, &environment);
    let client = fixture.activate().unwrap();
    let server = Process::open(client.peer_ids().unwrap().server_pid).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.abort());
        server.wait();
        assert_eq!(fixture.processes("testkit-server").len(), 1, "the child is still running");
        let began = Instant::now();
        let next = fixture.activate().unwrap();
        assert!(began.elapsed() < TEST_TIMEOUT / 2);
        let pid = next.peer_ids().unwrap().server_pid;
        assert_ne!(pid, server.pid());
        // The second activation uses the socket of the new server.
        assert_eq!(fixture.activate().unwrap().peer_ids().unwrap().server_pid, pid);
        // The call to the dead server has ended, although the server's child keeps the connection
        // open.
        let error = call.join().unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::Disconnected, true),
            "{error:?}"
        );
        assert!(began.elapsed() < TEST_TIMEOUT / 2);
    });
}

#[test]
fn a_server_ends_though_the_child_of_a_dead_client_keeps_the_connection() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "50")]);
    let mut command = fixture.command(&CLIENT);
    let mut client =
        command.arg("--fork").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    client.wait().unwrap();
    wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
    assert_eq!(fixture.processes("testkit-client").len(), 1, "the child is still running");
}
