//! Client and server in two pid namespaces, neither of which is an ancestor of the other, with one
//! runtime folder. Neither process has a process id in the other's namespace.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test says what it could not do, and why")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use syshandle_testkit::{CLIENT, PATIENCE, Place, Process, SERVER, TEST_SERVICE, until};

/// Options that create a pid namespace, in which the user has the same number.
const NAMESPACES: [&str; 6] =
    ["--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Returns a place, or `None` if no pid namespace can be created here.
fn place() -> Option<Place> {
    match Command::new("unshare").args(NAMESPACES).arg("true").output() {
        Ok(output) if output.status.success() => Some(Place::new()),
        other => {
            println!("skipped: no pid namespace can be made: {other:?}");
            None
        }
    }
}

/// Runs a shell script with a program as `$0` in a new pid namespace. The shell is the namespace's
/// first process, so all others end when it ends.
fn in_namespace(place: &Place, script: &str, program: &Path) -> Command {
    let mut command = place.command("unshare".as_ref());
    command.args(NAMESPACES).args(["sh", "-c", script]).arg(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn client(place: &Place, arguments: &str) -> Child {
    in_namespace(place, &format!("\"$0\" {arguments}"), &CLIENT).spawn().unwrap()
}

/// Starts the server in a namespace of its own, and waits until it listens.
fn server(place: &Place, environment: &[(&str, &str)]) -> (Child, Process) {
    let registered = place.register(&SERVER, TEST_SERVICE, &[]);
    let mut command = in_namespace(place, "\"$0\"", &SERVER);
    command.env("TESTKIT_IDLE_MS", "60000").envs(environment.iter().copied());
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let paths = syshandle_registry::RuntimePaths::of(&registered, &place.registry()).unwrap();
    until("the server listens", || paths.is_running());
    (child, place.processes("testkit-server").pop().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn processes_without_a_number_for_each_other_call_and_pass_handles() {
    let Some(place) = place() else { return };
    let _server = server(&place, &[]);
    let user = fs::metadata("/proc/self").unwrap().uid();
    for _ in 0..3 {
        let out = succeeded(&client(&place, "--call pass").wait_with_output().unwrap());
        // The policy `same_user` admits the client, although neither process has an id for the
        // other.
        let [server, own, client, uid] =
            out.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((server, client, uid), ("0", "0", user.to_string().as_str()), "{out}");
        assert!(own.parse::<u32>().unwrap() < 10, "a number of its namespace: {out}");
    }
}

#[test]
fn the_death_of_a_client_without_a_number_ends_its_background_work() {
    let Some(place) = place() else { return };
    let _server = server(&place, &[]);
    let file = place.path().join("outcome");
    fs::write(&file, "").unwrap();
    // The client has sent `Bye`, so only its process shows that it is alive.
    let arguments = format!("--leave-work {} --hold", file.display());
    let mut child = client(&place, &arguments);
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("0 "), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    child.kill().unwrap();
    child.wait().unwrap();
    until("the work has ended", || fs::read_to_string(&file).unwrap().contains('\n'));
    assert_eq!(fs::read_to_string(&file).unwrap(), "ClientDied\n");
}

#[test]
fn the_death_of_a_server_without_a_number_ends_a_call_though_its_child_keeps_the_connection() {
    let Some(place) = place() else { return };
    let (_server, process) = server(&place, &[("TESTKIT_FORK", "yes")]);
    let began = Instant::now();
    let output = client(&place, "--call crash").wait_with_output().unwrap();
    assert!(text(&output.stderr).starts_with("Disconnected: "), "{}", text(&output.stderr));
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    assert!(process.has_ended());
}

#[test]
fn a_dead_server_without_a_number_is_replaced() {
    let Some(place) = place() else { return };
    let (mut server, process) = server(&place, &[]);
    process.kill();
    server.wait().unwrap();
    let out = succeeded(&client(&place, "").wait_with_output().unwrap());
    // The client has started a server in its own namespace.
    assert!(!out.starts_with("0 "), "{out}");
}

#[test]
fn a_program_that_hangs_in_another_pid_namespace_is_an_error_at_once() {
    let Some(place) = place() else { return };
    let mut registration = place.registration(&SERVER, TEST_SERVICE);
    registration.start_timeout = Duration::from_millis(300);
    registration.environment.insert("TESTKIT_FATE".into(), "hang".into());
    place.register_as(&registration);
    // The shell keeps the namespace alive, and with it the program that the client has started.
    let script = "\"$0\" --timeout-ms 100; sleep 60";
    let mut first = in_namespace(&place, script, &CLIENT).spawn().unwrap();
    until("the program hangs", || {
        place.processes("testkit-server").len() == 1 && place.processes("testkit-client").is_empty()
    });
    let began = Instant::now();
    let output = client(&place, "").wait_with_output().unwrap();
    let error = text(&output.stderr);
    assert!(error.starts_with("StartFailed: "), "{error}");
    assert!(error.contains("hangs") && error.contains("another pid namespace"), "{error}");
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    first.kill().unwrap();
    first.wait().unwrap();
}
