//! Runs hostile clients against a server, to test promises 5, 6, 7, 10 and 11 of
//! `docs/promises.md`.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test shows what it measured, and what it could not do")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syshandle::Policy;
use syshandle_testkit::{
    EVENTS_METHOD, Fixture, SERVER, SET_METHOD, TEST_SERVICE, WAIT_METHOD, am_root,
};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");

/// The scenarios that take at most a few seconds. `cargo xtask faults` runs all scenarios.
const QUICK: &str = "truncated,oversized,headers,fragments,unsolicited,versions,early-handles,\
                     slots,growth,handles,handle-flood,unread-handles,cycles,shared-ends,unread-answers,\
                     unread-events,churn,death,numbers,descriptions,one-way,registered,arena,\
                     sparse-memory,amplification,blocking,refused-user";

/// Runs these scenarios, or all scenarios if `SYSHANDLE_TEST_FORM` is `full` (see `xtask`). Returns
/// the output.
fn accepted() -> String {
    match std::env::var("SYSHANDLE_TEST_FORM").is_ok_and(|how| how == "full") {
        true => format!("{QUICK},batch,silence,never-reads,door-flood"),
        false => QUICK.to_owned(),
    }
}

fn attack(fixture: &Fixture, scenarios: &str) -> Output {
    let mut command = fixture.command(COMMAND.as_ref());
    command.args([
        "attack",
        &TEST_SERVICE.clsid().to_string(),
        "--only",
        scenarios,
        "--set-method",
        &SET_METHOD.to_string(),
        "--wait-method",
        &WAIT_METHOD.to_string(),
        "--events-method",
        &EVENTS_METHOD.to_string(),
    ]);
    command.output().unwrap()
}

#[track_caller]
fn passed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("WRONG") && !text.contains("FAILED"));
    text
}

/// Registers a server with a policy. The tests run one after the other, because the kernel counts the
/// handles in flight of a user, and all hostile clients of other tests are the same user.
fn fixture_for(policy: Policy) -> (MutexGuard<'static, ()>, Fixture) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::new();
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.policy = policy;
    registration.environment.insert("TESTKIT_IDLE_MS".into(), "10000".into());
    fixture.register_as(&registration);
    (alone, fixture)
}

/// Runs the hostile clients as another user that the server accepts. They must not cause any harm.
#[test]
fn a_hostile_user_that_the_server_accepts_harms_no_other_client() {
    let (_alone, fixture) = fixture_for(Policy::anyone());
    if !am_root() {
        println!("skipped: the hostile clients run as this user, since only root can be another");
    }
    let table = passed(&attack(&fixture, &accepted()));
    let expected = if am_root() { "run as user 65534, which" } else { "run as this user" };
    assert!(table.contains(expected), "{table}");
    assert!(table.contains("truncated") && table.contains("arena"), "{table}");
}

/// A user that the server doesn't accept gets an error, and the server doesn't receive this user's
/// handles.
#[test]
fn a_rejected_user_gets_an_error() {
    let (_alone, fixture) = fixture_for(Policy::same_user());
    let table = passed(&attack(&fixture, "early-handles,refused-user"));
    if !am_root() {
        println!("skipped: only root can be another user");
        assert!(table.contains("skipped: refused-user"), "{table}");
        return;
    }
    assert!(table.contains("the server does not allow user 65534 (2000 times)"), "{table}");
}

/// A client that requests an unlimited number of references must leave enough for other clients.
#[test]
fn one_client_does_not_get_all_references_and_connections() {
    let (_alone, fixture) = fixture_for(Policy::anyone());
    let table = passed(&attack(&fixture, "door-flood"));
    assert!(table.contains("of one client"), "{table}");
}

/// A server with few file descriptors refuses further calls from a client that doesn't receive its
/// handles, and still serves other clients.
#[test]
fn a_client_that_receives_no_handles_exhausts_only_its_own_quota() {
    let (_alone, fixture) = fixture_for(Policy::anyone());
    let mut command = fixture.command("sh".as_ref());
    // The server that this command starts inherits the limit on open files.
    command.args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\"", COMMAND]);
    command.args(["attack", &TEST_SERVICE.clsid().to_string()]);
    let output = command.args(["--only", "unread-answers"]).output().unwrap();
    let table = passed(&output);
    assert!(table.contains("refused: the server is busy: it has reached its limit of"), "{table}");
}

/// The server limits the number of replies that a client hasn't read.
#[test]
fn a_client_that_never_reads_is_cut_off() {
    let (_alone, fixture) = fixture_for(Policy::same_user());
    let table = passed(&attack(&fixture, "never-reads"));
    assert!(table.contains("closed (4 times)"), "{table}");
}

/// A client that starts an unlimited number of background tasks must leave enough for other
/// clients.
#[test]
fn a_client_with_endless_background_tasks_exhausts_only_its_own_quota() {
    let (_alone, fixture) = fixture_for(Policy::anyone());
    let table = passed(&attack(&fixture, "endless-tasks"));
    assert!(table.contains("of one client"), "{table}");
}

/// Methods that set an event must return, even if a client has filled the event's counter and made
/// the event blocking.
#[test]
fn setting_a_full_and_blocking_event_returns_at_once() {
    let (_alone, fixture) = fixture_for(Policy::anyone());
    let table = passed(&attack(&fixture, "full-event"));
    assert!(table.contains("served (64 times)"), "{table}");
}

/// Scenarios that need a method are skipped if the user specifies none. Unknown scenario names are
/// errors.
#[test]
fn scenarios_without_their_method_are_skipped_and_unknown_scenarios_are_errors() {
    let (_alone, fixture) = fixture_for(Policy::same_user());
    let attack = |scenarios| {
        let mut command = fixture.command(COMMAND.as_ref());
        let class = TEST_SERVICE.clsid().to_string();
        command.args(["attack", &class, "--only", scenarios]);
        command.output().unwrap()
    };
    let table = passed(&attack("endless-tasks,full-event,slots"));
    let skipped = "skipped: endless-tasks: --wait-method is not set (a method that waits for an event \
                   in a background task)";
    assert!(table.contains(skipped), "{table}");
    assert!(
        table
            .contains("skipped: full-event: --set-method is not set (a method that sets an event)"),
        "{table}"
    );
    let unknown = attack("slots,no-such");
    assert!(!unknown.status.success());
    let error = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(error.contains("unknown scenario no-such") && error.contains("never-reads"), "{error}");
}
