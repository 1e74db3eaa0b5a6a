//! Runs tests again in namespaces of their own.

use std::process::Command;

/// Environment variable that names the part of the test to run within the namespaces.
const PART: &str = "SYSHANDLE_TEST_NAMESPACE";

/// Runs the test with this name again in its own user and mount namespace, after running a script
/// there.
pub(crate) fn in_namespace(test: &str, script: &str) {
    let script = format!("set -e\n{script}\nexec \"$0\" --exact {test} --nocapture");
    let namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"];
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", &script]).arg(std::env::current_exe().unwrap());
    let output = match command.env(PART, "1").env("RUST_BACKTRACE", "0").output() {
        Ok(output) => output,
        Err(error) => return println!("skipped: {error}"),
    };
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        assert!(out.contains("1 passed"), "{out}");
        // Repeats the messages about skipped steps.
        out.lines()
            .filter(|line| line.starts_with("skipped: "))
            .for_each(|line| println!("{line}"));
    } else if out.contains("running 1 test") {
        panic!("{out}{error}");
    } else {
        println!("skipped: this can't be mounted in a namespace: {error}");
    }
}

/// Returns whether this process is the run within the namespaces.
pub(crate) fn is_within() -> bool {
    std::env::var_os(PART).is_some()
}
