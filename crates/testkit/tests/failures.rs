//! Failed activations. Each cause has a specific error, and no activation hangs.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syshandle::{Error, ErrorKind};
use syshandle_registry::Registration;
use syshandle_testkit::{
    CLIENT, Fixture, Process, SERVER, TEST_SERVICE, TEST_TIMEOUT, TestServiceClient, am_root, copy,
    wait_until,
};

/// Activates the server, which must fail. Checks the kind of the error, and that its text contains
/// `parts`.
#[track_caller]
fn error(fixture: &Fixture, kind: ErrorKind, parts: &[&str]) -> Error {
    let error = fixture.activate().expect_err("it can't be activated");
    expect(&error, kind, parts);
    error
}

#[track_caller]
fn expect(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(!error.may_have_run());
    let text = format!("{error:#}");
    for part in parts {
        assert!(text.contains(part), "{text}\nshould contain\n{part}");
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Registers an executable script with this content.
fn register_script(fixture: &Fixture, text: &str) {
    let program = fixture.path().join("program");
    fs::write(&program, text).unwrap();
    chmod(&program, 0o755);
    fixture.register(&program, TEST_SERVICE, &[]);
}

/// Returns a registration of the server that makes it hang at its start unless the file `gate`
/// exists.
fn registration_with_gate(fixture: &Fixture, gate: &Path) -> Registration {
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.environment = [
        ("TESTKIT_STARTUP".into(), "hang without".into()),
        ("TESTKIT_GATE".into(), gate.to_str().unwrap().into()),
    ]
    .into();
    registration
}

#[test]
fn an_unregistered_class() {
    let fixture = Fixture::new();
    error(
        &fixture,
        ErrorKind::NotRegistered,
        &[
            &TEST_SERVICE.clsid().to_string(),
            fixture.data().to_str().unwrap(),
            "syshandle register",
        ],
    );
}

#[test]
fn a_program_by_a_relative_path() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let text = fs::read_to_string(&registered.path).unwrap();
    fs::write(&registered.path, text.replace(SERVER.to_str().unwrap(), "bin/server")).unwrap();
    error(
        &fixture,
        ErrorKind::BadRegistration,
        &[registered.path.to_str().unwrap(), "`program` must be an absolute path, got bin/server"],
    );
}

#[test]
fn a_program_that_is_missing() {
    let fixture = Fixture::new();
    fixture.register("/no/such/program".as_ref(), TEST_SERVICE, &[]);
    error(
        &fixture,
        ErrorKind::StartFailed,
        &["/no/such/program can't be started: the program does not exist"],
    );
}

#[test]
fn a_program_that_may_not_be_run() {
    let fixture = Fixture::new();
    let program = fixture.path().join("program");
    copy(&SERVER, &program);
    chmod(&program, 0o644);
    fixture.register(&program, TEST_SERVICE, &[]);
    error(&fixture, ErrorKind::StartFailed, &["is not executable", "Permission denied"]);
}

#[test]
fn a_program_in_no_executable_format() {
    let fixture = Fixture::new();
    register_script(&fixture, "no program\n");
    error(&fixture, ErrorKind::StartFailed, &["can't be started", "Exec format error"]);
}

#[test]
fn a_script_whose_interpreter_is_missing() {
    let fixture = Fixture::new();
    register_script(&fixture, "#!/no/such/interpreter\n");
    error(&fixture, ErrorKind::StartFailed, &["interpreter", "does not exist"]);
}

#[test]
fn a_program_that_is_a_folder() {
    let fixture = Fixture::new();
    fixture.register(fixture.path(), TEST_SERVICE, &[]);
    error(&fixture, ErrorKind::StartFailed, &["is not executable"]);
}

#[test]
fn a_program_that_ends_at_once() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_STARTUP", "exit")]);
    let log = "its log ends:\n    | there is no water\n    | the machine can't run";
    let error = error(&fixture, ErrorKind::StartFailed, &["testkit-server did not serve", log]);
    told(&error, "exit status: 7");
}

#[test]
fn a_log_keeps_the_last_lines_of_earlier_runs_and_an_error_quotes_the_last_run() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_STARTUP", "exit")]);
    let log = fixture.runtime_paths(&registered).log;
    let lines: String = (0..20_000).map(|line| format!("old line {line}\n")).collect();
    fs::write(&log, lines).unwrap();
    let error = error(&fixture, ErrorKind::StartFailed, &["there is no water"]);
    assert!(!format!("{error:#}").contains("old line"), "{error:#}");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("old line ") && text.len() < 100_000, "{} bytes", text.len());
    assert!(text.contains("old line 19999\n---- the server was started again"), "the last lines");
    assert!(text.trim_end().ends_with("the machine can't run"));
}

#[test]
fn a_program_that_crashes_at_once() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_STARTUP", "crash")]);
    let error = error(&fixture, ErrorKind::StartFailed, &["testkit-server did not serve"]);
    told(&error, "signal: 6");
}

/// Checks that the error says how the program ended, if the kernel reports that.
#[track_caller]
fn told(error: &Error, how: &str) {
    match format!("{error}") {
        text if text.ends_with("it ended at once") => {
            println!("skipped: init was quick, before Linux 6.15");
        }
        text => assert!(text.contains(how), "{text}"),
    }
}

#[test]
fn a_server_that_crashes_in_a_call() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap();
    let error = client.abort().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true), "{error:?}");
    let error = client.peer_ids().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false), "{error:?}");
    // The next start succeeds despite the files that the crashed server has left.
    assert!(fixture.activate().unwrap().peer_ids().is_ok());
}

#[test]
fn a_program_that_never_greets_is_ended() {
    let fixture = Fixture::new();
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.environment.insert("TESTKIT_STARTUP".into(), "hang".into());
    registration.start_timeout = Duration::from_millis(300);
    fixture.register_as(&registration);
    error(&fixture, ErrorKind::StartFailed, &["did not greet within 300ms"]);
    wait_until("the program is ended", || fixture.processes("testkit-server").is_empty());
}

#[test]
fn a_client_with_a_short_timeout_leaves_a_starting_program_running() {
    let fixture = Fixture::new();
    let gate = fixture.path().join("gate");
    fixture.register_as(&registration_with_gate(&fixture, &gate));
    let activation = fixture.activation().timeout(Duration::from_millis(100));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    expect(&error, ErrorKind::TimedOut, &["timed out waiting for the greeting"]);
    assert_eq!(fixture.processes("testkit-server").len(), 1);
}

#[test]
fn a_hanging_program_is_ended_by_a_later_client() {
    let fixture = Fixture::new();
    let gate = fixture.path().join("gate");
    let mut registration = registration_with_gate(&fixture, &gate);
    registration.start_timeout = Duration::from_millis(500);
    fixture.register_as(&registration);
    let activation = fixture.activation().timeout(Duration::from_millis(50));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    let hung = fixture.processes("testkit-server").pop().expect("it hangs");
    // The next server does not hang, because it finds the file.
    File::create(gate).unwrap();
    let ids = fixture.activate().unwrap().peer_ids().unwrap();
    assert_ne!(ids.server_pid, hung.pid());
    hung.wait();
}

#[test]
fn a_client_whose_clock_is_ahead_ends_no_program_that_is_starting() {
    let fixture = Fixture::new();
    let gate = fixture.path().join("gate");
    let mut registration = registration_with_gate(&fixture, &gate);
    registration.start_timeout = Duration::from_secs(600);
    fixture.register_as(&registration);
    let activation = fixture.activation().timeout(Duration::from_millis(50));
    activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    let starting = fixture.processes("testkit-server").pop().expect("it is starting");
    // In a time namespace, the monotonic clock can be hours ahead.
    let ahead = ["--time", "--monotonic", "7200", "--fork"];
    let mut probe = fixture.command("unshare".as_ref());
    if !probe.args(ahead).arg("true").output().is_ok_and(|output| output.status.success()) {
        return println!("skipped: this user can't make a time namespace");
    }
    let mut client = fixture.command("unshare".as_ref());
    client.args(ahead).arg(&*CLIENT).args(["--timeout-ms", "1500"]);
    let output = client.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("TimedOut: "), "{error}");
    let left: Vec<_> = fixture.processes("testkit-server").iter().map(Process::pid).collect();
    assert_eq!(left, [starting.pid()], "it was ended");
}

#[test]
fn a_stopped_server_that_has_served_is_not_ended_by_a_client() {
    let fixture = Fixture::new();
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.start_timeout = Duration::from_millis(1);
    // No client has started this server, so the start timeout does not apply to it before it
    // greets.
    let mut server = started_by_hand(&fixture, &registration);
    let held = fixture.activate().unwrap();
    let process = fixture.processes("testkit-server").pop().unwrap();
    process.stop();
    let began = Instant::now();
    let activation = fixture.activation().timeout(Duration::from_millis(500));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    expect(&error, ErrorKind::TimedOut, &["timed out waiting for the greeting"]);
    assert!(began.elapsed() < TEST_TIMEOUT / 2);
    process.resume();
    assert_eq!(held.peer_ids().unwrap().server_pid, process.pid());
    drop(held);
    server.wait().unwrap();
}

/// Starts the server manually, as from a shell, and waits until it serves.
fn started_by_hand(fixture: &Fixture, registration: &Registration) -> std::process::Child {
    let registered = fixture.register_as(registration);
    let socket = fixture.runtime_paths(&registered).socket;
    let mut command = fixture.command(&SERVER);
    let child = command.env("TESTKIT_IDLE_MS", "3000").spawn().unwrap();
    wait_until("the server makes its socket", || socket.exists());
    child
}

#[test]
fn a_program_that_closes_its_socket_is_ended() {
    let fixture = Fixture::new();
    register_script(&fixture, "#!/bin/sh\nexec 3<&-\nexec sleep 1000\n");
    error(&fixture, ErrorKind::StartFailed, &["it closed the socket that it was given"]);
    wait_until("the program is ended", || fixture.processes("sleep").is_empty());
}

#[test]
fn a_client_that_stops_while_it_starts_the_server_delays_others_up_to_their_deadlines() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let lock = fixture.runtime_paths(&registered).try_lock().unwrap().unwrap();
    let activation = fixture.activation().timeout(Duration::from_millis(200));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    expect(&error, ErrorKind::TimedOut, &["process ", " holds ", ".lock and has not started"]);
    drop(lock);
    assert!(fixture.activate().is_ok());
}

#[test]
fn one_registry_by_two_paths_has_one_server() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let link = fixture.path().join("link");
    symlink(fixture.data(), &link).unwrap();
    let mut registry = fixture.registry();
    registry.data_home = Some(link);
    let first = fixture.activate().unwrap();
    let activation = fixture.activation().registry(registry);
    let second: TestServiceClient = activation.activate(TEST_SERVICE.clsid()).unwrap();
    assert_eq!(first.peer_ids().unwrap().server_pid, second.peer_ids().unwrap().server_pid);
}

#[test]
fn a_stale_socket_is_replaced() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let socket = fixture.runtime_paths(&registered).socket;
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    assert!(fixture.activate().unwrap().peer_ids().is_ok());
}

#[test]
fn a_folder_in_place_of_the_socket() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let socket = fixture.runtime_paths(&registered).socket;
    fs::create_dir(&socket).unwrap();
    error(
        &fixture,
        ErrorKind::StartFailed,
        &["another file has this path", socket.to_str().unwrap()],
    );
}

#[test]
fn a_registration_file_that_is_damaged() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let file = registered.path.to_str().unwrap();
    fs::write(&registered.path, "program = \"").unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[file, "unterminated string", "line 1"]);
    fs::write(&registered.path, b"program = \"\xff\"").unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[file, "UTF-8"]);
    fs::write(&registered.path, vec![b'#'; 2 << 20]).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[file, "limit of 131072 bytes"]);
    fs::write(&registered.path, format!("program = \"{}\"", SERVER.display())).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[file, "does not list class"]);
    fs::remove_file(&registered.path).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[file, "can't be read", "No such file"]);
    fs::create_dir(&registered.path).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[file, "not a regular file"]);
    fs::remove_dir(&registered.path).unwrap();
    let _fifo = syshandle_testkit::LineFifo::new(registered.path.clone());
    error(&fixture, ErrorKind::BadRegistration, &[file, "not a regular file"]);
}

#[test]
fn a_fifo_in_place_of_a_registration_delays_no_client() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    fs::remove_file(&registered.path).unwrap();
    // The FIFO has no writer, so opening it would block.
    drop(syshandle_testkit::LineFifo::new(registered.path.clone()));
    error(&fixture, ErrorKind::BadRegistration, &["not a regular file"]);
}

#[test]
fn a_class_entry_that_is_no_link_or_does_not_lead_to_a_registration() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let link = fixture.data().join("syshandle/classes").join(TEST_SERVICE.clsid().to_string());
    let outside = fixture.path().join("outside.toml");
    fs::rename(&registered.path, &outside).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &["can't be read"]);
    fs::remove_file(&link).unwrap();
    symlink(&outside, &link).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &["can't be read"]);
    fs::remove_file(&link).unwrap();
    fs::copy(&outside, &link).unwrap();
    error(&fixture, ErrorKind::BadRegistration, &[link.to_str().unwrap(), "can't be read"]);
}

#[test]
fn a_registration_that_others_may_change() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let programs = registered.path.parent().unwrap();
    for path in [&registered.path, programs, programs.parent().unwrap()] {
        let mode = fs::metadata(path).unwrap().permissions();
        chmod(path, mode.mode() | 0o002);
        let remedy = format!("chmod go-w {}", path.display());
        error(
            &fixture,
            ErrorKind::Insecure,
            &["can't be trusted", "other users may write", &remedy],
        );
        fs::set_permissions(path, mode).unwrap();
    }
    assert!(fixture.activate().is_ok());
}

#[test]
fn a_registration_that_belongs_to_another_user() {
    if !am_root() {
        println!("skipped: only root can give files away");
        return;
    }
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    chown(&registered.path, Some(65534), None).unwrap();
    let file = registered.path.to_str().unwrap();
    error(&fixture, ErrorKind::Insecure, &[file, "can't be trusted", "it belongs to user 65534"]);
}

#[test]
fn a_registration_that_this_process_may_not_read_denies_activation_and_is_named_once() {
    if !am_root() {
        println!("skipped: only root can act as another user");
        return;
    }
    let fixture = Fixture::new();
    let client = fixture.path().join("testkit-client");
    copy(&CLIENT, &client);
    for folder in [fixture.path().to_owned(), fixture.data()] {
        chmod(&folder, 0o755);
    }
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    chmod(&registered.path, 0o600);
    let mut command = fixture.command(&client);
    let output = std::os::unix::process::CommandExt::uid(&mut command, 65534).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let file = registered.path.to_str().unwrap();
    assert!(text.starts_with("ActivationDenied: "), "{text}");
    assert_eq!(text.matches(file).count(), 1, "{text}");
    assert!(text.contains("has no permission"), "{text}");
}

#[test]
fn no_folder_for_sockets() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let activate = |runtime: Option<PathBuf>| {
        let mut registry = fixture.registry();
        registry.runtime_dir = runtime;
        let activation = fixture.activation().registry(registry);
        activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err()
    };
    expect(&activate(None), ErrorKind::NoRuntimeDirectory, &["XDG_RUNTIME_DIR isn't set"]);
    let missing = fixture.path().join("missing");
    let text = format!("{} does not exist", missing.display());
    expect(&activate(Some(missing)), ErrorKind::NoRuntimeDirectory, &[&text]);
    let file = fixture.path().join("file");
    File::create(&file).unwrap();
    expect(&activate(Some(file)), ErrorKind::NoRuntimeDirectory, &["file is not a directory"]);
    let long = fixture.path().join("a".repeat(100));
    fs::create_dir(&long).unwrap();
    chmod(&long, 0o700);
    let text = "the path of a socket has at most 107 bytes";
    expect(&activate(Some(long)), ErrorKind::NoRuntimeDirectory, &[text, "XDG_RUNTIME_DIR"]);
}

#[test]
fn a_folder_for_sockets_that_others_may_use() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    chmod(&fixture.runtime(), 0o755);
    let remedy = format!("chmod 700 {}", fixture.runtime().display());
    error(
        &fixture,
        ErrorKind::Insecure,
        &["can't be trusted", "other users may access it", &remedy],
    );
    chmod(&fixture.runtime(), 0o700);
    fs::create_dir(fixture.runtime().join("syshandle")).unwrap();
    chmod(&fixture.runtime().join("syshandle"), 0o777);
    error(&fixture, ErrorKind::Insecure, &["run/syshandle can't be trusted"]);
    chmod(&fixture.runtime().join("syshandle"), 0o700);
    if am_root() {
        chown(fixture.runtime(), Some(65534), None).unwrap();
        error(&fixture, ErrorKind::Insecure, &["can't be trusted", "it belongs to user 65534"]);
        chown(fixture.runtime(), Some(0), None).unwrap();
    } else {
        println!("skipped in part: only root can give files away");
    }
    let held = fixture.activate().unwrap();
    // Connecting requires no trust in the folder, because the kernel reports the user of the
    // server.
    chmod(&fixture.runtime(), 0o755);
    assert_eq!(
        fixture.activate().unwrap().peer_ids().unwrap().server_pid,
        held.peer_ids().unwrap().server_pid
    );
}

#[test]
fn a_program_that_any_user_can_replace_is_not_started() {
    let fixture = Fixture::new();
    let folder = fixture.path().join("bin");
    let program = folder.join("program");
    fs::create_dir(&folder).unwrap();
    copy(&SERVER, &program);
    fixture.register(&program, TEST_SERVICE, &[]);
    for (path, mode) in [(&program, 0o757), (&folder, 0o757)] {
        let before = fs::metadata(path).unwrap().permissions();
        chmod(path, mode);
        let remedy = format!("chmod o-w {}", path.display());
        error(&fixture, ErrorKind::Insecure, &["can't be trusted", "any user may write", &remedy]);
        fs::set_permissions(path, before).unwrap();
    }
    // In a folder with the sticky bit, such as `/tmp`, only the owner of a file can replace the
    // file.
    chmod(&folder, 0o1777);
    assert!(fixture.activate().is_ok());
}

#[test]
fn an_error_tells_a_remembered_failure_and_a_changed_registration_or_program_is_tried_at_once() {
    let fixture = Fixture::new();
    let program = fixture.path().join("program");
    copy(&SERVER, &program);
    chmod(&program, 0o644);
    let registered = fixture.register(&program, TEST_SERVICE, &[]);
    error(&fixture, ErrorKind::StartFailed, &["is not executable"]);
    wait_until("a failure note is reported", || {
        let error = format!("{:#}", fixture.activate().unwrap_err());
        error.contains("is not executable") && error.contains("ms ago; the next start is tried")
    });
    let text = fs::read_to_string(&registered.path).unwrap();
    fs::write(&registered.path, format!("# Another version.\n{text}")).unwrap();
    let fresh = fixture.activate().unwrap_err();
    assert!(!format!("{fresh:#}").contains("ms ago"), "{fresh:#}");
    chmod(&program, 0o755);
    assert!(fixture.activate().is_ok(), "a repaired program must be started immediately");
}

#[test]
fn a_program_that_was_missing_is_started_once_it_exists() {
    let fixture = Fixture::new();
    let program = fixture.path().join("program");
    fixture.register(&program, TEST_SERVICE, &[]);
    error(&fixture, ErrorKind::StartFailed, &["does not exist"]);
    copy(&SERVER, &program);
    wait_until("a repaired program is started", || fixture.activate().is_ok());
}
