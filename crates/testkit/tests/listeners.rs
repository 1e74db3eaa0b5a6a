//! The three ways to create the listening socket: a client, the server itself, or another program
//! such as systemd.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use rustix::fs::FlockOperation;
use syshandle::{ErrorKind, object::Proxy};
use syshandle_registry::{Policy, RuntimePaths};
use syshandle_testkit::{
    CLIENT, Fixture, Process, SERVER, SetOnDrop, SocketActivator, TEST_SERVICE, TestServiceClient,
    am_root, copy, text, wait_until,
};

fn runtime_paths(fixture: &Fixture) -> RuntimePaths {
    let registered = fixture.registry().find(TEST_SERVICE.clsid()).unwrap();
    fixture.runtime_paths(&registered)
}

/// Starts the server manually, as from a shell.
fn by_hand(fixture: &Fixture) -> Child {
    let mut command = fixture.command(&SERVER);
    command.env("TESTKIT_IDLE_MS", "1000").stderr(Stdio::piped()).spawn().unwrap()
}

fn run(fixture: &Fixture, arguments: &[&str]) -> Output {
    fixture.command(&CLIENT).args(arguments).output().unwrap()
}

#[test]
fn a_server_started_by_hand_makes_its_socket_and_is_the_only_one() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let mut first = by_hand(&fixture);
    let paths = runtime_paths(&fixture);
    wait_until("it makes its socket", || paths.socket.exists());

    let second = by_hand(&fixture).wait_with_output().unwrap();
    assert!(!second.status.success());
    let error = text(&second.stderr);
    assert!(error.contains("AlreadyRunning") && error.contains("another server serves"), "{error}");

    let client = fixture.activate().unwrap();
    assert_eq!(client.peer_ids().unwrap().server_pid, first.id());
    assert!(paths.is_running());
    drop(client);
    assert!(first.wait().unwrap().success());
    assert!(!paths.socket.exists(), "the server must remove its socket");
    assert!(!paths.is_running());
    assert_ne!(fixture.activate().unwrap().peer_ids().unwrap().server_pid, first.id());
}

#[test]
fn locks_of_a_process_that_may_only_read_delay_neither_client_nor_server() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    assert!(run(&fixture, &[]).status.success());
    wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
    let paths = runtime_paths(&fixture);
    let running = paths.lock.with_extension("running");
    // This process only reads the start note, so it does not activate the server.
    let locked: Vec<_> = [&paths.lock, &running]
        .map(|path| {
            let file = fs::File::open(path).unwrap();
            rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockShared).unwrap();
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
            file
        })
        .into();
    for _ in 0..3 {
        let output = run(&fixture, &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
    }
    drop(locked);
    assert!(!paths.is_running(), "a read lock does not register a server");
}

#[test]
fn a_wrapper_that_does_not_replace_itself_is_named_as_the_cause() {
    let fixture = Fixture::new();
    let wrapper = fixture.path().join("wrapper");
    fs::write(&wrapper, format!("#!/bin/sh\n{}\nexit $?\n", SERVER.display())).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    fixture.register(&wrapper, TEST_SERVICE, &[]);
    let error = fixture.activate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StartFailed, "{error:?}");
    let text = format!("{error:#}");
    assert!(text.contains("must replace itself") && text.contains("`exec`"), "{text}");
}

#[test]
fn an_unregistered_server_reports_it() {
    let fixture = Fixture::new();
    let output = by_hand(&fixture).wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("NotRegistered"), "{}", text(&output.stderr));
}

#[test]
fn a_server_ends_at_sigterm_and_the_next_activation_starts_another() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "60000")]);
    let client = fixture.activate().unwrap();
    let server = Process::open(client.peer_ids().unwrap().server_pid).unwrap();
    server.terminate();
    server.wait();
    let error = client.peer_ids().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false), "{error:?}");
    assert!(!runtime_paths(&fixture).socket.exists());
    assert_ne!(fixture.activate().unwrap().peer_ids().unwrap().server_pid, server.pid());
}

#[test]
fn a_call_that_runs_when_the_server_must_end_may_have_run() {
    let fixture = Fixture::new();
    let mut fifo = fixture.fifo("fifo");
    let path = fifo.path().to_str().unwrap();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_FIFO", path), ("TESTKIT_DRAIN_MS", "50")]);
    let client = fixture.activate().unwrap();
    let server = Process::open(client.peer_ids().unwrap().server_pid).unwrap();
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| client.hang().unwrap_err());
        assert_eq!(fifo.line(), "hanging");
        server.terminate();
        call.join().unwrap()
    });
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true), "{error:?}");
    server.wait();
}

#[test]
fn a_draining_server_finishes_its_calls_while_another_one_serves() {
    let fixture = Fixture::new();
    let mut fifo = fixture.fifo("fifo");
    let path = fifo.path().to_str().unwrap();
    fixture.register(
        &SERVER,
        TEST_SERVICE,
        &[("TESTKIT_FIFO", path), ("TESTKIT_DRAIN_MS", "60000")],
    );
    let client = fixture.activate().unwrap();
    let server = Process::open(client.peer_ids().unwrap().server_pid).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.hang().unwrap_err());
        assert_eq!(fifo.line(), "hanging");
        server.terminate();
        wait_until("it takes its socket away", || !runtime_paths(&fixture).socket.exists());
        let other = fixture.activate().unwrap();
        assert_ne!(other.peer_ids().unwrap().server_pid, server.pid());
        assert!(!server.has_ended());
        // A call to a server that is shutting down does not run.
        let error = client.peer_ids().unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::Disconnected, false),
            "{error:?}"
        );
        server.kill();
        assert!(call.join().unwrap().may_have_run());
    });
    assert!(runtime_paths(&fixture).is_running());
}

#[test]
fn an_external_listener_starts_one_server_after_the_other() {
    let fixture = Fixture::new();
    let activator = SocketActivator::new(fixture.path().join("elsewhere"));
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(activator.path().to_owned());
    fixture.register_as(&registration);
    let environment = [("TESTKIT_IDLE_MS", "1")];

    let mut servers = Vec::new();
    for _ in 0..3 {
        let (client, mut server) = std::thread::scope(|scope| {
            let client = scope.spawn(|| fixture.activate().unwrap());
            let server = activator.start(&fixture, &SERVER, &environment);
            (client.join().unwrap(), server)
        });
        let ids = client.peer_ids().unwrap();
        assert_eq!(ids.server_pid, server.id());
        assert_eq!(
            client.as_client().server().unwrap().pid,
            server.id(),
            "the server must be the activator's process"
        );
        assert_eq!(ids.client_pid, std::process::id());
        // The client neither starts a server itself nor removes the socket of another program.
        assert_eq!(fixture.processes("testkit-server").len(), 1);
        drop(client);
        assert!(server.wait().unwrap().success());
        assert!(activator.path().exists());
        servers.push(ids.server_pid);
    }
    servers.dedup();
    assert_eq!(servers.len(), 3);
}

#[test]
fn no_call_is_lost_with_an_external_listener() {
    const ROUNDS: usize = 300;
    let fixture = Fixture::new();
    let activator = SocketActivator::new(fixture.path().join("elsewhere"));
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(activator.path().to_owned());
    fixture.register_as(&registration);

    let done = std::sync::atomic::AtomicBool::new(false);
    let starts = std::thread::scope(|scope| {
        let starts = scope.spawn(|| {
            let mut starts = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                if activator.has_pending_client(Duration::from_millis(20)) {
                    let environment = [("TESTKIT_IDLE_MS", "1")];
                    let mut server = activator.start(&fixture, &SERVER, &environment);
                    assert!(server.wait().unwrap().success());
                    starts += 1;
                }
            }
            starts
        });
        let rounds = SetOnDrop(&done);
        for round in 0..ROUNDS {
            let client = fixture.activate().unwrap_or_else(|error| panic!("{round}: {error:?}"));
            client.peer_ids().unwrap_or_else(|error| panic!("{round}: {error:?}"));
            drop(client);
            // The next activation takes place at about the time at which the server ends.
            std::thread::sleep(Duration::from_micros(500 + 100 * (round as u64 % 25)));
        }
        drop(rounds);
        starts.join().unwrap()
    });
    println!("{ROUNDS} rounds, {starts} servers");
    assert!(starts > 1);
}

#[test]
fn systemd_socket_activate_starts_it_too() {
    let program = Path::new("/usr/bin/systemd-socket-activate");
    if !program.exists() {
        println!("skipped: systemd-socket-activate isn't there");
        return;
    }
    let fixture = Fixture::new();
    let socket = fixture.path().join("elsewhere");
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(socket.clone());
    fixture.register_as(&registration);
    let mut command = fixture.command(program);
    let mut activator = command
        .args(["--seqpacket", "--listen"])
        .arg(&socket)
        .args(["--setenv=TESTKIT_IDLE_MS=1", "--setenv=XDG_RUNTIME_DIR", "--setenv=XDG_DATA_HOME"])
        .arg(&*SERVER)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The socket is bound before the activator listens on it. In between, connections are refused.
    let mut activated = None;
    wait_until("it listens", || {
        activated = fixture.activate().ok();
        activated.is_some()
    });
    let client = activated.unwrap();
    // The server runs in the process of the activator.
    assert_eq!(client.peer_ids().unwrap().server_pid, activator.id());
    assert_eq!(client.as_client().server().unwrap().pid, activator.id());
    drop(client);
    assert!(activator.wait().unwrap().success());
}

#[test]
fn a_missing_external_listener_is_named_in_the_error() {
    let fixture = Fixture::new();
    let socket = fixture.path().join("elsewhere");
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(socket.clone());
    fixture.register_as(&registration);
    // If another program listens, the client needs no folder for sockets.
    let mut registry = fixture.registry();
    registry.runtime_dir = None;
    let activation = fixture.activation().registry(registry);
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StartFailed, "{error:?}");
    let text = format!("{error:#}");
    assert!(text.contains("no server listens at") && text.contains("elsewhere"), "{text}");
    assert!(fixture.processes("testkit-server").is_empty());

    // A server that is started manually is rejected too.
    let output = by_hand(&fixture).wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("AlreadyRunning") && error.contains("another program listens"),
        "{error}"
    );
}

#[test]
fn another_user_is_refused_unless_the_registration_allows_the_user() {
    if !am_root() {
        println!("skipped: only root can be another user");
        return;
    }
    let fixture = Fixture::new();
    // Lets the other user access the fixture and the copy of the program in it.
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(fixture.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let client = fixture.path().join("testkit-client");
    copy(&CLIENT, &client);
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    let as_nobody = || {
        let mut command = fixture.command(&client);
        command.env_remove("XDG_RUNTIME_DIR").uid(NOBODY).gid(NOBODY);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for (policy, allowed) in
        [(Policy::same_user(), false), (Policy::users([0, NOBODY]), true), (Policy::anyone(), true)]
    {
        let activator = SocketActivator::new(fixture.path().join("elsewhere"));
        fs::set_permissions(activator.path(), fs::Permissions::from_mode(0o666)).unwrap();
        registration.socket = Some(activator.path().to_owned());
        registration.policy = policy;
        fixture.register_as(&registration);
        let nobody = as_nobody();
        let pid = nobody.id();
        let mut server = activator.start(&fixture, &SERVER, &[("TESTKIT_IDLE_MS", "100")]);
        let output = nobody.wait_with_output().unwrap();
        let error = text(&output.stderr);
        if allowed {
            let expected = format!("{0} {0} {pid} {NOBODY}\n", server.id());
            assert_eq!(text(&output.stdout), expected, "{error}");
        } else {
            assert!(
                error.starts_with("NotAllowed: the server does not allow user 65534"),
                "{error}"
            );
        }
        server.wait().unwrap();
    }
}

/// The user ID 65534 (`nobody`), which owns no files.
const NOBODY: u32 = 65534;

#[test]
fn another_users_folder_is_not_used() {
    if !am_root() {
        println!("skipped: only root can be another user");
        return;
    }
    let fixture = Fixture::new();
    for folder in [fixture.path().to_owned(), fixture.data()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let client = fixture.path().join("testkit-client");
    copy(&CLIENT, &client);
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let output = fixture.command(&client).uid(NOBODY).gid(NOBODY).output().unwrap();
    let error = text(&output.stderr);
    assert!(error.starts_with("Insecure: ") && error.contains("belongs to user 0"), "{error}");
}

#[test]
fn a_confined_client_starts_no_server_but_reaches_one_that_runs() {
    for (how, why) in [
        ("no_new_privs", "no_new_privs"),
        ("seccomp", "seccomp"),
        ("mount", "another mount namespace"),
        ("user", "another user namespace"),
    ] {
        let fixture = Fixture::new();
        fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
        // The first client is not confined, which is the usual case.
        assert!(run(&fixture, &[]).status.success());
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());

        let output = run(&fixture, &["--confine", how]);
        let error = text(&output.stderr);
        if output.status.code() == Some(77) {
            println!("skipped: {how}: {error}");
            continue;
        }
        assert!(!output.status.success(), "{how}");
        assert!(error.starts_with("ActivationDenied: "), "{how}: {error}");
        assert!(error.contains("may only connect to a server that runs"), "{how}: {error}");
        assert!(error.contains(why), "{how}: {error}");
        assert!(fixture.processes("testkit-server").is_empty());

        let held = fixture.activate().unwrap();
        let server = held.peer_ids().unwrap().server_pid;
        let output = run(&fixture, &["--confine", how]);
        assert!(output.status.success(), "{how}: {}", text(&output.stderr));
        let answer = text(&output.stdout);
        assert!(answer.starts_with(&format!("{server} {server} ")), "{how}: {answer}");
    }
}

#[test]
fn a_less_confined_client_may_start_a_server_after_a_confined_one() {
    for how in ["no_new_privs", "seccomp", "mount", "user"] {
        let fixture = Fixture::new();
        fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
        if run(&fixture, &["--confine", how]).status.code() == Some(77) {
            println!("skipped: {how}");
            continue;
        }
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
        let output = run(&fixture, &[]);
        assert!(output.status.success(), "{how}: {}", text(&output.stderr));
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
        // From then on, clients are compared with the unconfined first client.
        let output = run(&fixture, &["--confine", how]);
        let error = text(&output.stderr);
        assert!(error.starts_with("ActivationDenied: "), "{how}: {error}");
    }
}

#[test]
fn a_folder_for_sockets_that_cannot_be_written_denies_activation_only() {
    // Root may write everywhere, so as root this test runs the client as another user.
    let is_root = am_root();
    let fixture = Fixture::new();
    let client = fixture.path().join("testkit-client");
    let server = fixture.path().join("testkit-server");
    copy(&CLIENT, &client);
    copy(&SERVER, &server);
    fixture.register(&server, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    let sockets = fixture.runtime().join("syshandle");
    fs::create_dir(&sockets).unwrap();
    fs::set_permissions(&sockets, fs::Permissions::from_mode(0o700)).unwrap();
    if is_root {
        let mut chown = std::process::Command::new("chown");
        chown.args(["-R", "65534:65534"]).arg(fixture.path());
        assert!(chown.status().unwrap().success());
    }
    let run = || {
        let mut command = fixture.command(&client);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    };
    fs::set_permissions(&sockets, fs::Permissions::from_mode(0o500)).unwrap();
    let error = text(&run().stderr);
    assert!(
        error.starts_with("ActivationDenied: ") && error.contains("can't be locked"),
        "{error}"
    );
    fs::set_permissions(&sockets, fs::Permissions::from_mode(0o700)).unwrap();
    let output = run();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_server_whose_program_was_replaced_ends_and_the_new_one_serves() {
    let fixture = Fixture::new();
    let program = fixture.path().join("testkit-server");
    let new = fixture.path().join("new");
    copy(&SERVER, &program);
    fixture.register(&program, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "60000")]);
    let client = fixture.activate().unwrap();
    let old = Process::open(client.peer_ids().unwrap().server_pid).unwrap();
    copy(&SERVER, &new);
    fs::rename(&new, &program).unwrap();
    assert_ne!(fixture.activate().unwrap().peer_ids().unwrap().server_pid, old.pid());
    old.wait();
    let error = client.peer_ids().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false), "{error:?}");
    fs::remove_file(&program).unwrap();
    assert_eq!(fixture.activate().unwrap_err().kind(), ErrorKind::StartFailed);
}
