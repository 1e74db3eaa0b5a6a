//! Runs each example and checks its output. `cargo test` builds the examples before. A test that
//! runs alone builds missing examples, and does not rebuild old ones.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::path::PathBuf;
use std::process::Command;

/// Returns the path of a built example.
fn example(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let path = program.ancestors().nth(2).unwrap().join("examples").join(name);
    if !path.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package=syshandle", "--features=tokio", "--examples"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
    }
    path
}

/// Runs an example, which must succeed. Returns its output.
fn run(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(example(name)).args(arguments).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{name}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn hello_is_answered_by_another_process() {
    let output = run("hello", &[]);
    let processes: Vec<&str> =
        output.lines().filter_map(|line| line.split("This is process ").nth(1)).collect();
    assert!(output.contains("Hello, world!"), "{output}");
    assert_eq!(processes.len(), 2, "{output}");
    assert_ne!(processes[0], processes[1], "{output}");
}

#[test]
fn old_and_new_programs_share_an_interface() {
    let output = run("growing", &[]);
    for line in
        ["old client, new server: letter, copies: 1, limit: None", "new client, old server: poster"]
    {
        assert!(output.lines().any(|printed| printed == line), "{line}\n{output}");
    }
    assert!(output.contains("field 3 is required and unknown"), "{output}");
}

#[test]
fn a_callback_reports_progress_and_stops_the_job() {
    let expected = "part 1 of 5\npart 2 of 5\npart 3 of 5\n3 parts are finished\n";
    assert_eq!(run("callback", &[]), expected);
}

#[test]
fn a_stream_reports_progress_until_the_client_stops_it() {
    let expected = "4096 bytes are copied\n8192 bytes are copied\n12288 bytes are copied\n";
    assert_eq!(run("stream", &[]), expected);
}

#[test]
fn a_background_task_finishes_after_its_method() {
    let output = run("background_task", &[]);
    for line in [
        "client: the document is ready",
        "server: printing",
        "client: the paper is here",
        "client: the document was never ready",
    ] {
        assert!(output.lines().any(|printed| printed == line), "{line}\n{output}");
    }
}

#[cfg(feature = "tokio")]
#[test]
fn an_asynchronous_client_makes_calls_at_the_same_time() {
    let output = run("async_client", &[]);
    assert!(output.ends_with(" lines\nthe bell rang\n"), "{output}");
}

#[cfg(feature = "tokio")]
#[test]
fn asynchronous_methods_run_in_the_runtime_of_the_program() {
    assert_eq!(run("async_server", &[]), "the last egg is an egg for this process\n");
}

#[test]
fn pipelined_calls_return_their_results_in_any_order() {
    assert_eq!(run("pipelining", &[]), "4² = 16, 3² = 9\n1² + … + 10² = 385\n");
}

#[test]
fn an_event_loop_of_the_program_receives_the_replies() {
    assert_eq!(run("event_loop", &[]), "1² + … + 100² = 338350\n");
}

#[test]
fn an_event_loop_of_the_program_runs_the_methods() {
    let output = run("server_event_loop", &[]);
    assert_eq!(output, "client: the bell rang\nserver: the client has disconnected\n");
}

#[test]
fn a_section_is_shared_and_a_writable_one_is_refused() {
    let expected = "brightness: 1000000\n\
                    canvas: a drawing\n\
                    Viewer::brightness: parameter `picture`: expected no more than read | map, \
                    got a section with read | write | append | map | seal | change\n";
    assert_eq!(run("section", &[]), expected);
}

#[test]
fn registered_memory_is_mapped_once() {
    let expected = "first sum: 700\n\
                    signalled: true\n\
                    last sum: 700\n\
                    maps during 1000 requests: 0\n";
    assert_eq!(run("registered_handles", &[]), expected);
}

#[test]
fn a_confined_worker_counts_the_lines_of_the_named_files() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");
    let lines = include_str!("../LICENSE-MIT").lines().count();
    assert_eq!(run("confined_worker", &[file]), format!("{lines} lines\n"));
    assert_eq!(run("confined_worker", &[]), "");
}

#[test]
fn each_error_has_its_kind_and_says_whether_the_call_may_have_run() {
    let output = run("errors", &[]);
    let expected = "\
an event instead of a file: WrongHandle, the call did not run
    Copier::append: parameter `document`: expected a file, got an event
a file that can't be written: WrongHandle, the call did not run
    Copier::append: parameter `document`: expected read | write, got a file with read
a timeout: TimedOut, the call may have run
    Copier::warm_up: timed out waiting for the reply
a busy server: Busy, the call did not run
    Copier::scan: another client scans
";
    assert_eq!(output, expected);
}
