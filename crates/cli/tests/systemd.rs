//! Tests the units that `register --systemd` writes, in a systemd user manager. Each test runs
//! itself again in separate namespaces and a separate control group, and starts the manager there.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test says what it could not do, and why")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use syshandle::ErrorKind;
use syshandle_testkit::{ControlGroup, Fixture, Process, SERVER, TEST_TIMEOUT, copy, text};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");
const MANAGER: &str = "/lib/systemd/systemd";

/// An environment variable that is set in the second run of a test, within the namespaces.
const PART: &str = "SYSHANDLE_TEST_SYSTEMD";

/// Runs a test again in namespaces in which a user manager can be started.
fn in_namespace(test: &str) {
    if !Path::new(MANAGER).exists() {
        return println!("skipped: systemd isn't installed");
    }
    let groups = match ["name=systemd", "memory"].map(ControlGroup::new) {
        [Ok(group), _] => vec![group],
        // The system has only control groups of version 2.
        [_, Ok(group)] => vec![group],
        [Err(why), _] => return println!("skipped: {why}"),
    };
    // The manager starts only on a system that systemd has booted, which the folder
    // `/run/systemd/system` shows.
    let enter: String =
        groups.iter().map(|group| format!("echo $$ > {}\n", group.procs().display())).collect();
    let inner = "mount -t tmpfs none /run && mkdir -p /run/systemd/system\n\
                 \"$0\" --exact \"$1\" --nocapture";
    let script = format!(
        "set -e\n{enter}exec unshare --mount --pid --cgroup --fork --mount-proc --kill-child \
         sh -ec '{inner}' \"$0\" \"$1\""
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(std::env::current_exe().unwrap()).arg(test);
    let output = command.env(PART, "1").output().unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        assert!(out.contains("1 passed"), "{out}");
        out.lines().filter(|line| line.contains("skipped: ")).for_each(|line| println!("{line}"));
    } else if out.contains("running 1 test") {
        panic!("{out}{error}");
    } else {
        println!("skipped: no namespaces can be made: {error}");
    }
}

/// A user manager with a registered server.
struct Manager {
    fixture: Fixture,
    child: Child,
    folder: PathBuf,
}

impl Manager {
    /// Starts the manager. Returns `None` and prints the reason if that isn't possible.
    fn start(environment: &[&str]) -> Option<Self> {
        let fixture = Fixture::new();
        let folder = fixture.path().join("bin");
        fs::create_dir(&folder).unwrap();
        copy(&SERVER, &folder.join("testkit-server"));
        let mut command = fixture.command(COMMAND.as_ref());
        command.args(["register", "--systemd"]).arg(&folder);
        command.args(environment.iter().flat_map(|variable| ["--env", variable]));
        succeeded(&command.output().unwrap());
        let log = fs::File::create(fixture.path().join("manager.log")).unwrap();
        let child = fixture
            .command(MANAGER.as_ref())
            .args(["--user", "--unit=basic.target", "--log-target=console"])
            .stdout(log.try_clone().unwrap())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut manager = Self { fixture, child, folder };
        let deadline = Instant::now() + TEST_TIMEOUT / 4;
        while !manager.systemctl(&["show", "--property=Version"]).status.success() {
            if manager.child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(manager.fixture.path().join("manager.log")).unwrap();
                println!("skipped: the user manager doesn't run: {log}");
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(manager)
    }

    fn systemctl(&self, arguments: &[&str]) -> Output {
        let mut command = self.fixture.command("systemctl".as_ref());
        command.arg("--user").args(arguments).output().unwrap()
    }

    /// Returns a property of a unit.
    fn property(&self, unit: &str, property: &str) -> String {
        let property = format!("--property={property}");
        let output = self.systemctl(&["show", "--value", &property, unit]);
        text(&output.stdout).trim().to_owned()
    }

    fn enable(&self) {
        succeeded(&self.systemctl(&["daemon-reload"]));
        succeeded(&self.systemctl(&["enable", "--now", "testkit-server.socket"]));
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.systemctl(&["exit"]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_user_manager_starts_the_server_with_the_first_client_and_again_after_a_crash() {
    if std::env::var_os(PART).is_none() {
        return in_namespace(
            "a_user_manager_starts_the_server_with_the_first_client_and_again_after_a_crash",
        );
    }
    let Some(manager) = Manager::start(&["MOOD=50% \"of\" $HOME", "TESTKIT_IDLE_MS=300"]) else {
        return;
    };
    let fixture = &manager.fixture;
    // No process listens on the socket yet.
    let error = fixture.activate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StartFailed, "{error:#}");
    assert!(error.to_string().contains("systemctl --user start"), "{error}");
    manager.enable();
    assert!(fixture.processes("testkit-server").is_empty(), "it starts with the first client");
    let client = fixture.activate().unwrap();
    let first = client.peer_ids().unwrap().server_pid;
    assert_eq!(manager.property("testkit-server.service", "MainPID"), first.to_string());
    let surroundings = client.startup_state().unwrap();
    assert!(surroundings.contains(&"env MOOD=50% \"of\" $HOME".to_owned()), "{surroundings:#?}");
    // The server ends when it is idle. The next client starts it again.
    let process = Process::open(first).unwrap();
    drop(client);
    process.wait();
    let client = fixture.activate().unwrap();
    assert_ne!(client.peer_ids().unwrap().server_pid, first);
    // Causes more crashes than systemd's start limit permits (by default 5 in 10 s).
    for _ in 0..7 {
        let client = fixture.activate().unwrap();
        assert_eq!(client.abort().unwrap_err().kind(), ErrorKind::Disconnected);
    }
    fixture.activate().unwrap().peer_ids().unwrap();
    assert_eq!(manager.property("testkit-server.socket", "ActiveState"), "active");
    // Runs the command that the output of `clean` suggests for removing the rest.
    let mut command = fixture.command(COMMAND.as_ref());
    succeeded(&command.arg("clean").arg(&manager.folder).output().unwrap());
    succeeded(&manager.systemctl(&["stop", "testkit-server.socket", "testkit-server.service"]));
    succeeded(&manager.systemctl(&["daemon-reload"]));
    assert_eq!(manager.property("testkit-server.socket", "LoadState"), "not-found");
    assert!(fixture.processes("testkit-server").is_empty());
}

#[test]
fn the_error_names_the_units_when_the_start_limit_closed_the_socket() {
    if std::env::var_os(PART).is_none() {
        return in_namespace("the_error_names_the_units_when_the_start_limit_closed_the_socket");
    }
    let Some(manager) = Manager::start(&["TESTKIT_STARTUP=exit"]) else { return };
    let fixture = &manager.fixture;
    // An administrator's drop-in file adds a start limit, which the units themselves don't have.
    let folder = fixture.path().join(".config/systemd/user/testkit-server.service.d");
    fs::create_dir_all(&folder).unwrap();
    let limit = "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=2\n";
    fs::write(folder.join("limit.conf"), limit).unwrap();
    manager.enable();
    let began = Instant::now();
    let error = fixture.activate().unwrap_err();
    let text = format!("{error:#}");
    assert!(began.elapsed() < TEST_TIMEOUT / 2, "{:?}: {text}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::StartFailed, "{text}");
    for part in [
        "no server listens",
        "systemctl --user status",
        "journalctl --user",
        "systemctl --user start",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(manager.property("testkit-server.socket", "Result"), "service-start-limit-hit");
    // Runs the command that the error message suggests.
    succeeded(&manager.systemctl(&["reset-failed", "testkit-server.service"]));
    succeeded(&manager.systemctl(&["start", "testkit-server.socket"]));
    assert_eq!(manager.property("testkit-server.socket", "ActiveState"), "active");
}
