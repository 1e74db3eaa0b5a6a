//! Failures of activation. Each cause has its own error, and no activation hangs.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test says what it could not do, and why")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syshandle::{Error, ErrorKind, Ran};
use syshandle_registry::{Registration, RegistrationFile, RuntimePaths};
use syshandle_testkit::{
    CLIENT, PATIENCE, Place, Process, SERVER, TEST_SERVICE, TestServiceClient, copy, until,
};

/// Activates the server, which must fail. Checks the kind and the text of the error.
#[track_caller]
fn error(place: &Place, kind: ErrorKind, parts: &[&str]) -> Error {
    let error = place.activate().expect_err("it can't be activated");
    expect(&error, kind, parts);
    error
}

#[track_caller]
fn expect(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(error.ran(), Ran::No);
    let text = format!("{error:#}");
    for part in parts {
        assert!(text.contains(part), "{text}\nshould contain\n{part}");
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn runtime_paths(place: &Place, registered: &RegistrationFile) -> RuntimePaths {
    RuntimePaths::of(registered, &place.registry()).unwrap()
}

fn am_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn an_unregistered_class() {
    let place = Place::new();
    error(
        &place,
        ErrorKind::NotRegistered,
        &[&TEST_SERVICE.clsid().to_string(), place.data().to_str().unwrap(), "syshandle register"],
    );
}

#[test]
fn a_program_by_a_relative_path() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let text = fs::read_to_string(&registered.path).unwrap();
    fs::write(&registered.path, text.replace(SERVER.to_str().unwrap(), "bin/server")).unwrap();
    error(
        &place,
        ErrorKind::BadRegistration,
        &[registered.path.to_str().unwrap(), "`program` is relative: bin/server"],
    );
}

#[test]
fn a_program_that_is_missing() {
    let place = Place::new();
    place.register("/no/such/program".as_ref(), TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["the program /no/such/program isn't there"]);
}

#[test]
fn a_program_that_may_not_be_run() {
    let place = Place::new();
    let program = place.path().join("program");
    copy(&SERVER, &program);
    chmod(&program, 0o644);
    place.register(&program, TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["may not be run", "Permission denied"]);
}

#[test]
fn a_program_that_is_none() {
    let place = Place::new();
    let program = place.path().join("program");
    fs::write(&program, "no program\n").unwrap();
    chmod(&program, 0o755);
    place.register(&program, TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["can't be run", "Exec format error"]);
}

#[test]
fn a_script_whose_interpreter_is_missing() {
    let place = Place::new();
    let program = place.path().join("program");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    chmod(&program, 0o755);
    place.register(&program, TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["interpreter", "isn't there"]);
}

#[test]
fn a_program_that_is_a_folder() {
    let place = Place::new();
    place.register(place.path(), TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["may not be run"]);
}

#[test]
fn a_program_that_ends_at_once() {
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[("TESTKIT_FATE", "exit")]);
    let log = "its log ends:\n    | there is no water\n    | the machine can't run";
    let error = error(&place, ErrorKind::StartFailed, &["testkit-server did not serve", log]);
    told(&error, "exit status: 7");
}

#[test]
fn a_log_keeps_the_last_lines_of_earlier_runs_and_an_error_quotes_the_last_run() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[("TESTKIT_FATE", "exit")]);
    let log = runtime_paths(&place, &registered).log;
    let lines: String = (0..20_000).map(|line| format!("old line {line}\n")).collect();
    fs::write(&log, lines).unwrap();
    let error = error(&place, ErrorKind::StartFailed, &["there is no water"]);
    assert!(!format!("{error:#}").contains("old line"), "{error:#}");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("old line ") && text.len() < 100_000, "{} bytes", text.len());
    assert!(text.contains("old line 19999\n---- the server was started again"), "the last lines");
    assert!(text.trim_end().ends_with("the machine can't run"));
}

#[test]
fn a_program_that_crashes_at_once() {
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[("TESTKIT_FATE", "crash")]);
    let error = error(&place, ErrorKind::StartFailed, &["testkit-server did not serve"]);
    told(&error, "signal: 6");
}

/// Checks that the error tells how the program ended, if the kernel reports that.
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
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[]);
    let client = place.activate().unwrap();
    let error = client.crash().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Disconnected, Ran::Maybe), "{error:?}");
    let error = client.who().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Disconnected, Ran::No), "{error:?}");
    // The next start succeeds although the server that crashed left its files behind.
    assert!(place.activate().unwrap().who().is_ok());
}

#[test]
fn a_program_that_never_greets_is_ended() {
    let place = Place::new();
    let mut registration = place.registration(&SERVER, TEST_SERVICE);
    registration.environment.insert("TESTKIT_FATE".into(), "hang".into());
    registration.start_timeout = Duration::from_millis(300);
    place.register_as(&registration);
    error(&place, ErrorKind::StartFailed, &["did not greet within 300ms"]);
    until("the program is ended", || place.processes("testkit-server").is_empty());
}

#[test]
fn a_client_in_a_hurry_leaves_a_slow_program_to_the_others() {
    let place = Place::new();
    let gate = place.path().join("gate");
    let environment = [("TESTKIT_FATE", "hang without"), ("TESTKIT_FILE", gate.to_str().unwrap())];
    place.register(&SERVER, TEST_SERVICE, &environment);
    let activation = place.activation().timeout(Duration::from_millis(100));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    expect(&error, ErrorKind::TimedOut, &["did not greet in time"]);
    assert_eq!(place.processes("testkit-server").len(), 1);
}

#[test]
fn a_hanging_program_is_ended_by_a_later_client() {
    let place = Place::new();
    let gate = place.path().join("gate");
    let mut registration = place.registration(&SERVER, TEST_SERVICE);
    registration.environment = [
        ("TESTKIT_FATE".into(), "hang without".into()),
        ("TESTKIT_FILE".into(), gate.to_str().unwrap().into()),
    ]
    .into();
    registration.start_timeout = Duration::from_millis(500);
    place.register_as(&registration);
    let activation = place.activation().timeout(Duration::from_millis(50));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    let hung = place.processes("testkit-server").pop().expect("it hangs");
    // The server that is started next finds the file without which the first one hung.
    File::create(gate).unwrap();
    let who = place.activate().unwrap().who().unwrap();
    assert_ne!(who.server_pid, hung.pid());
    hung.wait();
}

#[test]
fn a_client_whose_clock_is_ahead_ends_no_program_that_is_starting() {
    let place = Place::new();
    let gate = place.path().join("gate");
    let mut registration = place.registration(&SERVER, TEST_SERVICE);
    registration.environment = [
        ("TESTKIT_FATE".into(), "hang without".into()),
        ("TESTKIT_FILE".into(), gate.to_str().unwrap().into()),
    ]
    .into();
    registration.start_timeout = Duration::from_secs(600);
    place.register_as(&registration);
    let activation = place.activation().timeout(Duration::from_millis(50));
    activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    let starting = place.processes("testkit-server").pop().expect("it is starting");
    // In a time namespace the monotonic clock can be ahead by hours.
    let ahead = ["--time", "--monotonic", "7200", "--fork"];
    let mut probe = place.command("unshare".as_ref());
    if !probe.args(ahead).arg("true").output().is_ok_and(|output| output.status.success()) {
        return println!("skipped: this user can't make a time namespace");
    }
    let mut client = place.command("unshare".as_ref());
    client.args(ahead).arg(&*CLIENT).args(["--timeout-ms", "1500"]);
    let output = client.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("TimedOut: "), "{error}");
    let left: Vec<_> = place.processes("testkit-server").iter().map(Process::pid).collect();
    assert_eq!(left, [starting.pid()], "it was ended");
}

#[test]
fn a_server_that_stands_still_is_not_taken_for_one_that_hangs() {
    let place = Place::new();
    let mut registration = place.registration(&SERVER, TEST_SERVICE);
    registration.start_timeout = Duration::from_millis(1);
    // This server is not started by a client, so the start timeout does not apply before it greets.
    let mut server = started_by_hand(&place, &registration);
    let held = place.activate().unwrap();
    let process = place.processes("testkit-server").pop().unwrap();
    process.stop();
    let began = Instant::now();
    let activation = place.activation().timeout(Duration::from_millis(500));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    expect(&error, ErrorKind::TimedOut, &["did not greet in time"]);
    assert!(began.elapsed() < PATIENCE / 2);
    process.go_on();
    assert_eq!(held.who().unwrap().server_pid, process.pid());
    drop(held);
    server.wait().unwrap();
}

/// Starts the server like a user at a shell, and waits until it serves.
fn started_by_hand(place: &Place, registration: &Registration) -> std::process::Child {
    let registered = place.register_as(registration);
    let socket = runtime_paths(place, &registered).socket;
    let mut command = place.command(&SERVER);
    let child = command.env("TESTKIT_IDLE_MS", "3000").spawn().unwrap();
    until("the server makes its socket", || socket.exists());
    child
}

#[test]
fn a_program_that_closes_its_socket_is_ended() {
    let place = Place::new();
    let program = place.path().join("program");
    fs::write(&program, "#!/bin/sh\nexec 3<&-\nexec sleep 1000\n").unwrap();
    chmod(&program, 0o755);
    place.register(&program, TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["it closed the socket that it was given"]);
    until("the program is ended", || place.processes("sleep").is_empty());
}

#[test]
fn a_client_that_stands_still_while_it_starts_the_server_holds_others_up_to_their_deadlines() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let lock = runtime_paths(&place, &registered).try_lock().unwrap().unwrap();
    let activation = place.activation().timeout(Duration::from_millis(200));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    expect(&error, ErrorKind::TimedOut, &["another process (", "which has", ".lock locked"]);
    drop(lock);
    assert!(place.activate().is_ok());
}

#[test]
fn one_registry_by_two_paths_has_one_server() {
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[]);
    let link = place.path().join("link");
    symlink(place.data(), &link).unwrap();
    let mut registry = place.registry();
    registry.data_home = Some(link);
    let first = place.activate().unwrap();
    let activation = place.activation().registry(registry);
    let second: TestServiceClient = activation.activate(TEST_SERVICE.clsid()).unwrap();
    assert_eq!(first.who().unwrap().server_pid, second.who().unwrap().server_pid);
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let socket = runtime_paths(&place, &registered).socket;
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    assert!(place.activate().unwrap().who().is_ok());
}

#[test]
fn a_folder_in_place_of_the_socket() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let socket = runtime_paths(&place, &registered).socket;
    fs::create_dir(&socket).unwrap();
    error(&place, ErrorKind::StartFailed, &["is in the way", socket.to_str().unwrap()]);
}

#[test]
fn a_registration_file_that_is_damaged() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let file = registered.path.to_str().unwrap();
    fs::write(&registered.path, "program = \"").unwrap();
    error(&place, ErrorKind::BadRegistration, &[file, "it isn't as it should be", "line 1"]);
    fs::write(&registered.path, b"program = \"\xff\"").unwrap();
    error(&place, ErrorKind::BadRegistration, &[file, "UTF-8"]);
    fs::write(&registered.path, vec![b'#'; 2 << 20]).unwrap();
    error(&place, ErrorKind::BadRegistration, &[file, "larger than 1048576 bytes"]);
    fs::write(&registered.path, format!("program = \"{}\"", SERVER.display())).unwrap();
    error(&place, ErrorKind::BadRegistration, &[file, "doesn't name class"]);
    fs::remove_file(&registered.path).unwrap();
    error(&place, ErrorKind::BadRegistration, &[file, "can't be read", "No such file"]);
    fs::create_dir(&registered.path).unwrap();
    error(&place, ErrorKind::BadRegistration, &[file, "no ordinary file"]);
    fs::remove_dir(&registered.path).unwrap();
    let _fifo = syshandle_testkit::Notes::new(registered.path.clone());
    error(&place, ErrorKind::BadRegistration, &[file, "no ordinary file"]);
}

#[test]
fn a_fifo_in_place_of_a_registration_delays_no_client() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    fs::remove_file(&registered.path).unwrap();
    // The FIFO has no writer, so opening it for reading would block.
    drop(syshandle_testkit::Notes::new(registered.path.clone()));
    error(&place, ErrorKind::BadRegistration, &["no ordinary file"]);
}

#[test]
fn a_class_link_that_is_none_or_leads_elsewhere() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let link = place.data().join("syshandle/classes").join(TEST_SERVICE.clsid().to_string());
    let outside = place.path().join("outside.toml");
    fs::rename(&registered.path, &outside).unwrap();
    error(&place, ErrorKind::BadRegistration, &["can't be read"]);
    fs::remove_file(&link).unwrap();
    symlink(&outside, &link).unwrap();
    error(&place, ErrorKind::BadRegistration, &["can't be read"]);
    fs::remove_file(&link).unwrap();
    fs::copy(&outside, &link).unwrap();
    error(&place, ErrorKind::BadRegistration, &[link.to_str().unwrap(), "can't be read"]);
}

#[test]
fn a_registration_that_others_may_change() {
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let programs = registered.path.parent().unwrap();
    for path in [&registered.path, programs, programs.parent().unwrap()] {
        let mode = fs::metadata(path).unwrap().permissions();
        chmod(path, mode.mode() | 0o002);
        let remedy = format!("chmod go-w {}", path.display());
        error(&place, ErrorKind::Insecure, &["can't be trusted", "others may write", &remedy]);
        fs::set_permissions(path, mode).unwrap();
    }
    assert!(place.activate().is_ok());
}

#[test]
fn a_registration_that_belongs_to_another_user() {
    if !am_root() {
        println!("skipped: only root can give files away");
        return;
    }
    let place = Place::new();
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    chown(&registered.path, Some(65534), None).unwrap();
    let file = registered.path.to_str().unwrap();
    error(&place, ErrorKind::Insecure, &[file, "can't be trusted", "it belongs to user 65534"]);
}

#[test]
fn a_registration_that_this_process_may_not_read_denies_activation_and_is_named_once() {
    if !am_root() {
        println!("skipped: only root can act as another user");
        return;
    }
    let place = Place::new();
    let client = place.path().join("testkit-client");
    copy(&CLIENT, &client);
    for folder in [place.path().to_owned(), place.data()] {
        chmod(&folder, 0o755);
    }
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    chmod(&registered.path, 0o600);
    let mut command = place.command(&client);
    let output = std::os::unix::process::CommandExt::uid(&mut command, 65534).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let file = registered.path.to_str().unwrap();
    assert!(text.starts_with("ActivationDenied: "), "{text}");
    assert_eq!(text.matches(file).count(), 1, "{text}");
    assert!(text.contains("has no permission"), "{text}");
}

#[test]
fn no_folder_for_sockets() {
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[]);
    let activate = |runtime: Option<PathBuf>| {
        let mut registry = place.registry();
        registry.runtime_dir = runtime;
        let activation = place.activation().registry(registry);
        activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err()
    };
    expect(&activate(None), ErrorKind::NoRuntimeDirectory, &["XDG_RUNTIME_DIR isn't set"]);
    let missing = place.path().join("missing");
    let text = format!("{}, isn't there", missing.display());
    expect(&activate(Some(missing)), ErrorKind::NoRuntimeDirectory, &[&text]);
    let file = place.path().join("file");
    File::create(&file).unwrap();
    expect(&activate(Some(file)), ErrorKind::NoRuntimeDirectory, &["file, is no folder"]);
    let long = place.path().join("a".repeat(100));
    fs::create_dir(&long).unwrap();
    chmod(&long, 0o700);
    let text = "the path of a socket has at most 107 bytes";
    expect(&activate(Some(long)), ErrorKind::NoRuntimeDirectory, &[text, "XDG_RUNTIME_DIR"]);
}

#[test]
fn a_folder_for_sockets_that_others_may_use() {
    let place = Place::new();
    place.register(&SERVER, TEST_SERVICE, &[]);
    chmod(&place.runtime(), 0o755);
    let remedy = format!("chmod 700 {}", place.runtime().display());
    error(&place, ErrorKind::Insecure, &["can't be trusted", "others may use it", &remedy]);
    chmod(&place.runtime(), 0o700);
    fs::create_dir(place.runtime().join("syshandle")).unwrap();
    chmod(&place.runtime().join("syshandle"), 0o777);
    error(&place, ErrorKind::Insecure, &["run/syshandle can't be trusted"]);
    chmod(&place.runtime().join("syshandle"), 0o700);
    if am_root() {
        chown(place.runtime(), Some(65534), None).unwrap();
        error(&place, ErrorKind::Insecure, &["can't be trusted", "it belongs to user 65534"]);
        chown(place.runtime(), Some(0), None).unwrap();
    } else {
        println!("skipped in part: only root can give files away");
    }
    let held = place.activate().unwrap();
    // Connecting requires no trust in the folder: the kernel names the user of the greeting process.
    chmod(&place.runtime(), 0o755);
    assert_eq!(place.activate().unwrap().who().unwrap().server_pid, held.who().unwrap().server_pid);
}

#[test]
fn a_program_that_any_user_can_replace_is_not_started() {
    let place = Place::new();
    let folder = place.path().join("bin");
    let program = folder.join("program");
    fs::create_dir(&folder).unwrap();
    copy(&SERVER, &program);
    place.register(&program, TEST_SERVICE, &[]);
    for (path, mode) in [(&program, 0o757), (&folder, 0o757)] {
        let before = fs::metadata(path).unwrap().permissions();
        chmod(path, mode);
        let remedy = format!("chmod o-w {}", path.display());
        error(&place, ErrorKind::Insecure, &["can't be trusted", "any user may write", &remedy]);
        fs::set_permissions(path, before).unwrap();
    }
    // In a sticky folder such as /tmp, only the owner of a file can replace it.
    chmod(&folder, 0o1777);
    assert!(place.activate().is_ok());
}

#[test]
fn a_remembered_failure_says_so_and_ends_with_a_change_of_the_registration_or_the_program() {
    let place = Place::new();
    let program = place.path().join("program");
    copy(&SERVER, &program);
    chmod(&program, 0o644);
    let registered = place.register(&program, TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["may not be run"]);
    until("a failure is remembered", || {
        let error = format!("{:#}", place.activate().unwrap_err());
        error.contains("may not be run") && error.contains("ms ago; the next start is tried")
    });
    let text = fs::read_to_string(&registered.path).unwrap();
    fs::write(&registered.path, format!("# Another version.\n{text}")).unwrap();
    let fresh = place.activate().unwrap_err();
    assert!(!format!("{fresh:#}").contains("ms ago"), "{fresh:#}");
    chmod(&program, 0o755);
    assert!(place.activate().is_ok(), "a repaired program is started at once");
}

#[test]
fn a_failure_is_not_for_ever() {
    let place = Place::new();
    let program = place.path().join("program");
    place.register(&program, TEST_SERVICE, &[]);
    error(&place, ErrorKind::StartFailed, &["isn't there"]);
    copy(&SERVER, &program);
    until("a repaired program is started", || place.activate().is_ok());
}
