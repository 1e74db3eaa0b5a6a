//! Client and server in two unrelated pid namespaces with a common runtime folder. Neither process
//! has a process ID in the other namespace.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use syshandle_testkit::{
    CLIENT, Fixture, Process, SERVER, TEST_SERVICE, TEST_TIMEOUT, text, wait_until,
};

/// Options of `unshare` that create a pid namespace and keep the user ID.
const NAMESPACES: [&str; 6] =
    ["--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Returns a fixture, or `None` if no pid namespace can be created here.
fn fixture() -> Option<Fixture> {
    match Command::new("unshare").args(NAMESPACES).arg("true").output() {
        Ok(output) if output.status.success() => Some(Fixture::new()),
        other => {
            println!("skipped: no pid namespace can be made: {other:?}");
            None
        }
    }
}

/// Returns a command that runs a shell script in a new pid namespace, with a program as `$0`. The
/// shell has the process ID 1, so all other processes in the namespace end with it.
fn in_namespace(fixture: &Fixture, script: &str, program: &Path) -> Command {
    let mut command = fixture.command("unshare".as_ref());
    command.args(NAMESPACES).args(["sh", "-c", script]).arg(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn client(fixture: &Fixture, arguments: &str) -> Child {
    in_namespace(fixture, &format!("\"$0\" {arguments}"), &CLIENT).spawn().unwrap()
}

/// Starts the server in its own pid namespace, and waits until it listens.
fn server(fixture: &Fixture, environment: &[(&str, &str)]) -> (Child, Process) {
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let mut command = in_namespace(fixture, "\"$0\"", &SERVER);
    command.env("TESTKIT_IDLE_MS", "60000").envs(environment.iter().copied());
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let paths = fixture.runtime_paths(&registered);
    wait_until("the server listens", || paths.is_running());
    (child, fixture.processes("testkit-server").pop().unwrap())
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn processes_without_a_pid_in_each_others_namespace_call_and_pass_handles() {
    let Some(fixture) = fixture() else { return };
    let _server = server(&fixture, &[]);
    let user = fs::metadata("/proc/self").unwrap().uid();
    for _ in 0..3 {
        let out = succeeded(&client(&fixture, "--call echo").wait_with_output().unwrap());
        // The policy `same_user` allows the client, although neither process has an ID in the
        // other's namespace.
        let [server, own, client, uid] =
            out.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((server, client, uid), ("0", "0", user.to_string().as_str()), "{out}");
        assert!(own.parse::<u32>().unwrap() < 10, "a number of its namespace: {out}");
    }
}

#[test]
fn the_death_of_a_client_without_a_pid_ends_its_background_tasks() {
    let Some(fixture) = fixture() else { return };
    let _server = server(&fixture, &[]);
    let file = fixture.path().join("outcome");
    fs::write(&file, "").unwrap();
    // The client has sent `Bye`, so the server knows only from the client's process that the client
    // is alive.
    let arguments = format!("--leave-work {} --hold", file.display());
    let mut child = client(&fixture, &arguments);
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("0 "), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the work has ended", || fs::read_to_string(&file).unwrap().contains('\n'));
    assert_eq!(fs::read_to_string(&file).unwrap(), "ClientDied\n");
}

#[test]
fn the_death_of_a_server_without_a_pid_ends_a_call_though_its_child_keeps_the_connection() {
    let Some(fixture) = fixture() else { return };
    let (_server, process) = server(&fixture, &[("TESTKIT_FORK", "yes")]);
    let began = Instant::now();
    let output = client(&fixture, "--call abort").wait_with_output().unwrap();
    assert!(text(&output.stderr).starts_with("Disconnected: "), "{}", text(&output.stderr));
    assert!(began.elapsed() < TEST_TIMEOUT / 3, "{:?}", began.elapsed());
    assert!(process.has_ended());
}

#[test]
fn a_dead_server_without_a_pid_is_replaced() {
    let Some(fixture) = fixture() else { return };
    let (mut server, process) = server(&fixture, &[]);
    process.kill();
    server.wait().unwrap();
    let out = succeeded(&client(&fixture, "").wait_with_output().unwrap());
    // The client has started a server in its own namespace.
    assert!(!out.starts_with("0 "), "{out}");
}

#[test]
fn a_program_that_hangs_in_another_pid_namespace_is_an_error_at_once() {
    let Some(fixture) = fixture() else { return };
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.start_timeout = Duration::from_millis(300);
    registration.environment.insert("TESTKIT_STARTUP".into(), "hang".into());
    fixture.register_as(&registration);
    // The shell keeps the namespace alive, and with it the program that the client started.
    let script = "\"$0\" --timeout-ms 100; sleep 60";
    let mut first = in_namespace(&fixture, script, &CLIENT).spawn().unwrap();
    wait_until("the program hangs", || {
        fixture.processes("testkit-server").len() == 1
            && fixture.processes("testkit-client").is_empty()
    });
    let began = Instant::now();
    let output = client(&fixture, "").wait_with_output().unwrap();
    let error = text(&output.stderr);
    assert!(error.starts_with("StartFailed: "), "{error}");
    assert!(error.contains("hangs") && error.contains("another pid namespace"), "{error}");
    assert!(began.elapsed() < TEST_TIMEOUT / 4, "{:?}", began.elapsed());
    first.kill().unwrap();
    first.wait().unwrap();
}
