//! Activation and calls work even if the file system for sockets and logs is full.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]

use std::path::Path;
use std::process::Output;

use syshandle_testkit::{CLIENT, Fixture, SERVER, TEST_SERVICE};

/// Mounts a small file system as the folder for sockets, and runs a server there once. After the
/// server has ended, fills the file system and runs a client twice.
const SCRIPT: &str = r#"
    mount -t tmpfs -o size=64k,mode=700 tmpfs "$XDG_RUNTIME_DIR" || exit 77
    "$0" > /dev/null 2>&1
    for try in $(seq 600); do
        ls "$XDG_RUNTIME_DIR"/syshandle/*.sock > /dev/null 2>&1 || break
        sleep 0.1
    done
    # A longer log of the first run would keep its room until the next start.
    rm -f "$XDG_RUNTIME_DIR"/syshandle/*.log
    head -c 1M /dev/zero > "$XDG_RUNTIME_DIR/rest" 2> /dev/null
    head -c 1 /dev/zero > "$XDG_RUNTIME_DIR/more" 2> /dev/null || echo full
    "$0"
    "$0"
"#;

/// Runs the script. Returns `None` and prints the reason if no file system can be mounted here.
fn run(fixture: &Fixture) -> Option<String> {
    let mut command = fixture.command(Path::new("unshare"));
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT]).arg(&*CLIENT);
    let output = command.output();
    let is_possible = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr);
        output.status.code() != Some(77) && !text.contains("unshare: ")
    };
    match output {
        Ok(output) if is_possible(&output) => {
            let said = [&output.stdout[..], &output.stderr].concat();
            Some(String::from_utf8_lossy(&said).into_owned())
        }
        other => {
            println!("skipped: no file system can be mounted here: {other:?}");
            None
        }
    }
}

/// Returns the number of clients that were served. Each of them prints a line of four numbers.
fn served(said: &str) -> usize {
    let is_served = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.len() == 4 && words.iter().all(|word| word.parse::<u32>().is_ok())
    };
    said.lines().filter(is_served).count()
}

#[test]
fn a_server_starts_and_serves_though_its_log_has_no_room() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "100")]);
    let Some(said) = run(&fixture) else { return };
    assert!(said.starts_with("full\n"), "{said}");
    assert_eq!(served(&said), 2, "{said}");
}

#[test]
fn a_method_that_cannot_print_to_a_full_log_fails_alone() {
    let fixture = Fixture::new();
    fixture.register(
        &SERVER,
        TEST_SERVICE,
        &[("TESTKIT_LONG_OUTPUT", "much"), ("TESTKIT_IDLE_MS", "100")],
    );
    let Some(said) = run(&fixture) else { return };
    // `println!` panics if it can't write. The call fails with the text of the panic, and the
    // server then serves the next client.
    assert_eq!(
        said.matches("Panicked: TestService::peer_ids: the method panicked").count(),
        2,
        "{said}"
    );
    assert_eq!(said.matches("No space left on device").count(), 2, "{said}");
    assert_eq!(served(&said), 0, "{said}");
}
