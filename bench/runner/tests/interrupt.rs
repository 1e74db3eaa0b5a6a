//! Tests Ctrl-C in the runner, with a contender that never answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A contender that reports a process on its other side, becomes ready, and then ignores all
/// orders.
const CONTENDER: &str = "#!/bin/sh
sleep 600 &
echo $! > \"$PID_FILE.new\" && mv \"$PID_FILE.new\" \"$PID_FILE\"
echo ready $!
exec cat > /dev/null
";

#[test]
fn an_interrupt_ends_all_processes_and_removes_the_folder() {
    let folder = std::env::temp_dir().join(format!("bench-interrupt-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let (runner, contender) = (folder.join("bench-runner"), folder.join("bench-floors"));
    fs::copy(env!("CARGO_BIN_EXE_bench-runner"), &runner).unwrap();
    fs::write(&contender, CONTENDER).unwrap();
    fs::set_permissions(&contender, fs::Permissions::from_mode(0o755)).unwrap();
    let pid_file = folder.join("pid");
    let child = Command::new(&runner)
        .args(["--only", "seqpacket", "--work", "w1", "--placement", "same", "--out"])
        .arg(&folder)
        // The runner calls `true` instead of Cargo, because the contender exists already.
        .env("CARGO", "true")
        .env("PID_FILE", &pid_file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    eventually("the contender has started", || pid_file.exists());
    let server = fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("interrupted"), "{said}");
    eventually("the server has ended", || has_ended(&server));
    for parent in [Path::new("/dev/shm"), &std::env::temp_dir()] {
        assert!(!parent.join(format!("shb-{pid}")).exists());
    }
    assert!(!PathBuf::from(&folder).join("results.json").exists(), "half a run is no result");
    fs::remove_dir_all(folder).unwrap();
}

/// Returns whether a process has ended, also if its parent hasn't waited for it yet.
fn has_ended(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

fn eventually(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
