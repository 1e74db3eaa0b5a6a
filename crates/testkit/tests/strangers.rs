//! The identities of client and server, and what a server inherits from the process that starts it.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, File};
use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use syshandle::object::Proxy;
use syshandle_os::Seqpacket;
use syshandle_testkit::{
    CLIENT, Fixture, Process, SERVER, SocketActivator, TEST_SERVICE, wait_until,
};

#[test]
fn client_and_server_learn_each_others_process_and_user_from_the_kernel() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap();
    let server = client.as_client().server().unwrap();
    let ids = client.peer_ids().unwrap();
    // The kernel reports the server's process, although this process created the socket.
    assert_eq!(server.pid, ids.server_pid);
    assert_ne!(server.pid, std::process::id());
    assert_eq!(server.uid, own_user());
    assert_eq!((ids.client_pid, ids.client_uid), (std::process::id(), own_user()));
}

fn own_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn handles_are_refused_until_the_client_is_accepted() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let server = Process::open(fixture.activate().unwrap().peer_ids().unwrap().server_pid).unwrap();
    let paths = fixture.runtime_paths(&registered);
    // The stopped server can't accept the connection.
    server.stop();
    let flags = SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::connect(&socket, &SocketAddrUnix::new(&paths.socket).unwrap()).unwrap();
    let sent = send_a_handle(&socket);
    server.resume();
    match sent {
        Err(rustix::io::Errno::PERM) => {}
        Ok(()) => println!("skipped: this kernel has no SO_PASSRIGHTS (Linux 6.16)"),
        Err(error) => panic!("{error}"),
    }
}

fn send_a_handle(socket: &OwnedFd) -> Result<(), rustix::io::Errno> {
    let file = File::open("/dev/null").unwrap();
    let handles = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&handles)));
    let parts = [IoSlice::new(b"x")];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// Runs a client from a shell that executes `before` first. Returns what the server recorded about
/// its start, the server's process, and the client's process ID.
fn surroundings(fixture: &Fixture, before: &str) -> (Vec<String>, Process, u32) {
    fixture.register(&SERVER, TEST_SERVICE, &[("COLOUR", "blue")]);
    let mut client = held_client(fixture, before);
    let tried = fixture.activate().unwrap();
    let facts = tried.startup_state().unwrap();
    let server = Process::open(tried.peer_ids().unwrap().server_pid).unwrap();
    let pid = client.id();
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    (facts, server, pid)
}

/// Starts a client that keeps its connection until its standard input ends. Returns after the
/// client has activated the server.
fn held_client(fixture: &Fixture, before: &str) -> Child {
    client_by_shell(fixture, &format!("{before} exec \"$0\" --hold"))
}

fn client_by_shell(fixture: &Fixture, script: &str) -> Child {
    let mut command = fixture.command(Path::new("/bin/sh"));
    command.arg("-c").arg(script).arg(&*CLIENT);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    client
}

#[test]
fn a_server_inherits_nothing_from_the_client_that_starts_it() {
    let fixture = Fixture::new();
    let before = "exec 7</dev/zero 9</dev/full; trap '' INT QUIT TERM; umask 0; cd /usr; \
                  export SECRET=1 LC_ALL=C TZ=UTC;";
    let (facts, server, client) = surroundings(&fixture, before);
    let having = |start: &str| -> Vec<&str> {
        facts.iter().filter_map(|fact| fact.strip_prefix(start)).collect()
    };
    let fds = having("fd ");
    assert_eq!(fds.len(), 4, "{fds:?}");
    assert_eq!(fds[0], "0 /dev/null");
    assert!(fds[1].starts_with("1 ") && fds[1].ends_with(".log"), "{fds:?}");
    assert!(fds[2].starts_with("2 ") && fds[2].ends_with(".log"), "{fds:?}");
    assert!(fds[3].starts_with("3 socket:"), "{fds:?}");
    assert_eq!(having("cwd "), ["/"]);
    assert_eq!(having("Umask:\t"), ["0022"]);
    assert_eq!(having("SigBlk:\t"), ["0000000000000000"]);
    // Only `SIGPIPE` is ignored, by the Rust runtime.
    assert_eq!(having("SigIgn:\t"), ["0000000000001000"]);
    let pid = server.pid();
    assert_eq!(having("group "), [format!("{pid} session {pid} terminal 0")]);
    assert_ne!(having("PPid:\t"), [client.to_string()]);

    let mut names: Vec<_> =
        having("env ").iter().map(|variable| variable.split('=').next().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        "COLOUR",
        "HOME",
        "LC_ALL",
        "LISTEN_FDS",
        "LISTEN_PID",
        "PATH",
        "SYSHANDLE_REGISTRATION",
        "SYSHANDLE_SOCKET",
        "SYSHANDLE_USERS",
        "TZ",
        "XDG_DATA_DIRS",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
    ];
    assert_eq!(names, expected);
    assert!(facts.contains(&"env COLOUR=blue".to_owned()));
    assert!(facts.contains(&format!("env LISTEN_PID={pid}")));
}

#[test]
fn a_server_outlives_the_client_that_started_it() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let mut first = held_client(&fixture, "");
    let second = fixture.activate().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.peer_ids().is_ok());
}

#[test]
fn a_client_killed_at_any_time_of_its_activation_leaves_no_obstacle() {
    const ROUNDS: u32 = 60;
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    let mut answered = 0;
    for round in 0..ROUNDS {
        let mut client = run_client(&fixture);
        // Kills the client at a different point between its start and its end in each round.
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 150));
        let _ = client.kill();
        answered += u32::from(client.wait().unwrap().success());
        // The next client is served, in spite of the files that the killed client left behind.
        let next = fixture.activate().unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        next.peer_ids().unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        drop(next);
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
    }
    println!("{answered} of {ROUNDS} clients ended before they were killed");
}

fn run_client(fixture: &Fixture) -> Child {
    let mut command: Command = fixture.command(&CLIENT);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_client_that_dies_leaves_no_descriptor_in_the_server() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let keeper = fixture.activate().unwrap();
    let server = Process::open(keeper.peer_ids().unwrap().server_pid).unwrap();
    let before = server.descriptors().unwrap();
    for _ in 0..10 {
        let mut client = held_client(&fixture, "");
        client.kill().unwrap();
        client.wait().unwrap();
    }
    wait_until("the server has as many descriptors as before", || {
        server.descriptors().unwrap() == before
    });
    assert!(keeper.peer_ids().is_ok());
}

#[test]
fn a_listener_that_passes_the_processes_of_senders_leaks_no_descriptor() {
    let fixture = Fixture::new();
    let activator = SocketActivator::new(fixture.path().join("elsewhere"));
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(activator.path().to_owned());
    fixture.register_as(&registration);
    // systemd sets this option for `PassPIDFD=`, and accepted sockets inherit it.
    let pass = || {
        let socket = Seqpacket::from(activator.socket().try_clone().unwrap());
        socket.pass_sender_processes()
    };
    if let Err(error) = pass() {
        return println!("skipped: this kernel has no SO_PASSPIDFD: {error}");
    }
    let (keeper, mut server) = std::thread::scope(|scope| {
        let client = scope.spawn(|| fixture.activate().unwrap());
        let server = activator.start(&fixture, &SERVER, &[("TESTKIT_IDLE_MS", "1")]);
        (client.join().unwrap(), server)
    });
    keeper.peer_ids().unwrap();
    // The server has disabled the option. Another holder of the socket enables it again.
    pass().unwrap();
    let process = Process::open(server.id()).unwrap();
    let before = process.descriptors().unwrap();
    let null = OwnedFd::from(File::open("/dev/null").unwrap());
    for _ in 0..20 {
        let client = fixture.activate().unwrap();
        for _ in 0..20 {
            client.peer_ids().unwrap();
            client.echo(&null, "text").unwrap();
        }
    }
    for _ in 0..200 {
        keeper.peer_ids().unwrap();
    }
    wait_until("the server has as many descriptors as before", || {
        process.descriptors().unwrap() == before
    });
    drop(keeper);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_background_task_of_a_disconnected_client_ends_with_the_process_of_the_client() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    let outcome = fixture.path().join("outcome");
    File::create(&outcome).unwrap();
    let script = format!("exec \"$0\" --hold --leave-work {}", outcome.display());
    let mut client = client_by_shell(&fixture, &script);
    let server = fixture.processes("testkit-server").pop().unwrap();
    // No client is connected now, but the server keeps running for the background task.
    assert_eq!(fs::read_to_string(&outcome).unwrap(), "");
    assert!(!server.has_ended());
    client.kill().unwrap();
    client.wait().unwrap();
    server.wait();
    assert_eq!(fs::read_to_string(&outcome).unwrap(), "ClientDied\n");
}
