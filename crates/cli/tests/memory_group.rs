//! Tests that a server in a memory cgroup stays below the memory limit, and frees memory after
//! clients have used it.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test says what it could not do, and what it measured")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use syshandle::Policy;
use syshandle_testkit::{ControlGroup, Fixture, SERVER, TEST_SERVICE, wait_until};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");

const MIB: u64 = 1024 * 1024;

/// A server in a memory cgroup. The field order ensures that the fixture, which ends all processes
/// in the group, is dropped first.
struct Confined {
    fixture: Fixture,
    group: ControlGroup,
}

impl Confined {
    /// Creates the group and the server. Returns `None` and prints the reason if the group can't be
    /// created.
    fn new(limit: u64, policy: Policy) -> Option<Self> {
        let group = match ControlGroup::new("memory") {
            Ok(group) => group,
            Err(why) => {
                println!("skipped: {why}");
                return None;
            }
        };
        group.limit_memory(limit);
        let fixture = Fixture::new();
        let wrapper = fixture.path().join("wrapper");
        let procs = group.procs();
        // A method of the server returns its environment. With these variables, the reply is larger
        // than 1 MiB.
        let script = format!(
            "#!/bin/sh\nlarge=$(printf %0120000d 0)\n\
             for letter in A B C D E F G H I J; do export $letter=$large; done\n\
             echo $$ > {} && exec {}\n",
            procs.display(),
            SERVER.display()
        );
        fs::write(&wrapper, script).unwrap();
        fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
        let mut registration = fixture.registration(&wrapper, TEST_SERVICE);
        registration.policy = policy;
        registration.environment.insert("TESTKIT_IDLE_MS".into(), "60000".into());
        fixture.register_as(&registration);
        Some(Self { fixture, group })
    }
}

#[test]
fn memory_that_clients_share_and_keep_does_not_end_a_server_in_a_memory_cgroup() {
    for policy in [Policy::anyone(), Policy::same_user()] {
        // The hostile clients share one gigabyte of sparse memory.
        let Some(Confined { group, fixture }) = Confined::new(400 * MIB, policy) else { return };
        let client = fixture.activate().unwrap();
        let server = client.peer_ids().unwrap().server_pid;
        let before = group.memory();
        for _ in 0..2 {
            let mut command = fixture.command(COMMAND.as_ref());
            command.args(["attack", &TEST_SERVICE.clsid().to_string()]);
            let output = command.args(["--only", "sparse-memory"]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{text}");
        }
        assert_eq!((group.killed(), client.peer_ids().unwrap().server_pid), (0, server));
        let [peak, now] = [group.peak_memory(), group.memory()].map(|bytes| bytes / MIB);
        println!("{} MiB before, up to {peak} MiB, {now} MiB afterwards", before / MIB);
        assert!(peak > before / MIB + 4, "the server has read holes: {peak} MiB");
        wait_until("the memory is given back", || group.memory() < before + 64 * MIB);
        drop(client);
        drop(fixture);
    }
}

#[test]
fn idle_connections_that_have_received_large_replies_charge_a_server_nothing() {
    let Some(Confined { group, fixture }) = Confined::new(400 * MIB, Policy::same_user()) else {
        return;
    };
    let first = fixture.activate().unwrap();
    let large = || first.startup_state().unwrap().iter().map(String::len).sum::<usize>() as u64;
    assert!(large() > MIB);
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let client = fixture.activate().unwrap();
            // The server frees unused pages after a second. Until then, they count towards the
            // quota of this client process.
            wait_until("there is room", || match client.startup_state() {
                Ok(_) => true,
                Err(error) => {
                    assert!(error.to_string().contains("limit of memory"), "{error:#}");
                    false
                }
            });
            client
        })
        .collect();
    println!("{} MiB of shared memory", group.shared_memory() / MIB);
    wait_until("all pages are given back", || group.shared_memory() < MIB);
    assert_eq!(group.killed(), 0);
    drop((clients, first));
    drop(fixture);
}
