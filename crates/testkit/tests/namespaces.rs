//! Clients and servers in user namespaces, in which the kernel reports all unmapped users as the
//! same ID.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use syshandle::ErrorKind;
use syshandle_testkit::{
    CLIENT, Fixture, SERVER, SocketActivator, TEST_SERVICE, copy, text, wait_until,
};

/// The overflow ID, which the kernel reports for users that are not mapped in a namespace.
const OVERFLOW: u32 = 65_534;

/// The ID of a user other than root.
const USER: u32 = 12_345;

/// A fixture that belongs to root. Another user has a runtime folder in it, and runs programs in
/// user namespaces.
struct Container {
    fixture: Fixture,
    client: PathBuf,
    server: PathBuf,
}

impl Container {
    /// Returns `None` and prints the reason if such a fixture can't be created.
    fn new() -> Option<Self> {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            println!("skipped: only root can act as several users");
            return None;
        }
        let probe = as_user(Command::new("unshare").args(["--user", "--map-user=65534", "true"]))
            .stderr(Stdio::piped())
            .output();
        match probe {
            Ok(output) if output.status.success() => {}
            other => {
                println!("skipped: no user namespace can be made: {other:?}");
                return None;
            }
        }
        let fixture = Fixture::new();
        for folder in [fixture.path().to_owned(), fixture.data()] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        chown(fixture.runtime(), Some(USER), Some(USER)).unwrap();
        let (client, server) =
            (fixture.path().join("testkit-client"), fixture.path().join("testkit-server"));
        copy(&CLIENT, &client);
        copy(&SERVER, &server);
        Some(Self { fixture, client, server })
    }

    /// Returns a command that runs a program as the other user, in a user namespace that maps the
    /// user to the ID `shown`.
    fn command_as(&self, shown: u32, program: &Path) -> Command {
        let mut command = self.fixture.command("unshare".as_ref());
        command.args(["--user", &format!("--map-user={shown}")]).arg(program);
        as_user(&mut command);
        command
    }

    fn client_as(&self, shown: u32) -> Output {
        self.command_as(shown, &self.client).output().unwrap()
    }
}

fn as_user(command: &mut Command) -> &mut Command {
    command.uid(USER).gid(USER)
}

#[test]
fn a_server_shown_as_the_overflow_user_lets_in_no_user_that_is_shown_so() {
    let Some(container) = Container::new() else { return };
    let fixture = &container.fixture;
    // `exec` keeps the process ID, so the server has the ID in `LISTEN_PID`.
    let wrapper = fixture.path().join("wrapper");
    let script = format!(
        "#!/bin/sh\nexec setpriv --reuid {USER} --regid {USER} --clear-groups \
         unshare --user --map-user={OVERFLOW} {}\n",
        container.server.display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    let listed = format!("{OVERFLOW},0,{USER}");
    for (users, is_allowed) in [("same", false), (listed.as_str(), false), ("anyone", true)] {
        let activator = SocketActivator::new(fixture.path().join("elsewhere"));
        fs::set_permissions(activator.path(), Permissions::from_mode(0o666)).unwrap();
        registration.socket = Some(activator.path().to_owned());
        fixture.register_as(&registration);
        let result = std::thread::scope(|scope| {
            let client = scope.spawn(|| fixture.activate().and_then(|client| client.peer_ids()));
            let environment = [("TESTKIT_IDLE_MS", "100"), ("TESTKIT_USERS", users)];
            let mut server = activator.start(fixture, &wrapper, &environment);
            let result = client.join().unwrap();
            server.wait().unwrap();
            result
        });
        match result {
            Ok(ids) => {
                assert!(is_allowed, "root was allowed: {users}");
                assert_eq!(ids.client_uid, OVERFLOW);
            }
            Err(error) => {
                assert!(!is_allowed, "{error:?}");
                assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error:?}");
            }
        }
    }
}

#[test]
fn a_client_shown_as_the_overflow_user_starts_no_program_that_another_user_registered() {
    let Some(container) = Container::new() else { return };
    let fixture = &container.fixture;
    let starts = fixture.path().join("starts");
    fs::write(&starts, "").unwrap();
    fs::set_permissions(&starts, Permissions::from_mode(0o666)).unwrap();
    fixture.register(
        &container.server,
        TEST_SERVICE,
        &[("TESTKIT_STARTS", starts.to_str().unwrap())],
    );
    let output = container.client_as(OVERFLOW);
    let error = text(&output.stderr);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    assert!(error.starts_with("ActivationDenied: ") && error.contains("doesn't know"), "{error}");
    assert_eq!(fs::read_to_string(&starts).unwrap(), "", "the program must not run");
}

#[test]
fn where_root_is_unknown_its_registrations_serve_to_connect_and_not_to_start() {
    let Some(container) = Container::new() else { return };
    let fixture = &container.fixture;
    fixture.register(&container.server, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    let output = container.client_as(USER);
    let error = text(&output.stderr);
    assert!(error.starts_with("ActivationDenied: "), "{error}");
    assert!(error.contains("doesn't know") && error.contains("only connect"), "{error}");
    assert!(fixture.processes("testkit-server").is_empty());

    // In the initial namespace, root does not have the overflow ID.
    let mut held = as_user(fixture.command(&container.client).arg("--hold"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the server runs", || !fixture.processes("testkit-server").is_empty());
    let mut output = container.client_as(USER);
    wait_until("the client in the namespace is served", || {
        output = container.client_as(USER);
        output.status.success()
    });
    let server = fixture.processes("testkit-server").pop().unwrap().pid();
    let answer = text(&output.stdout);
    assert!(answer.starts_with(&format!("{server} {server} ")), "{answer}");
    drop(held.stdin.take());
    assert!(held.wait().unwrap().success());
}

/// Runs a client in a time namespace whose clocks are ahead by this number of seconds.
fn client_in_time_namespace(fixture: &Fixture, ahead: &str) -> Output {
    let mut command = fixture.command("unshare".as_ref());
    command.args(["--time", "--monotonic", ahead, "--boottime", ahead, "--fork"]);
    command.arg(&*CLIENT).output().unwrap()
}

#[test]
fn processes_whose_monotonic_clocks_differ_start_and_use_the_same_server() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "200")]);
    let probe = Command::new("unshare").args(["--time", "--fork", "true"]).output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        return println!("skipped: no time namespace can be made: {probe:?}");
    }
    for ahead in ["1000000", "100000000"] {
        // A client in the namespace starts the server, and a client outside uses it. Then a client
        // in the namespace uses a server that runs outside.
        let begin = Instant::now();
        let output = client_in_time_namespace(&fixture, ahead);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let outside = fixture.activate().unwrap();
        let server = outside.peer_ids().unwrap().server_pid;
        let output = client_in_time_namespace(&fixture, ahead);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.split(' ').next(), Some(&*server.to_string()), "{said} {output:?}");
        assert!(begin.elapsed() < Duration::from_secs(30));
        drop(outside);
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
    }
    // The start fails in the namespace. A later client outside must not report that failure as its
    // own.
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_STARTUP", "exit")]);
    assert!(!client_in_time_namespace(&fixture, "1000000").status.success());
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    fixture.activate().unwrap().peer_ids().unwrap();
}
