//! Activation under unusual system conditions: limits, missing files, containers. Each failure has
//! a specific error, and affects only the client that causes it.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use syshandle_testkit::{
    CLIENT, Fixture, SERVER, TEST_SERVICE, TestServiceClient, am_root, copy, text, wait_until,
};

/// Runs a shell script with the client as `$0`.
fn shell(fixture: &Fixture, script: &str) -> Output {
    let mut command = fixture.command("/bin/sh".as_ref());
    command.args(["-c", script]).arg(&*CLIENT).output().unwrap()
}

/// Runs a script as root in its own namespaces. Returns `None` if they can't be created.
fn shell_in_namespaces(fixture: &Fixture, options: &[&str], script: &str) -> Option<Output> {
    if !am_root() {
        println!("skipped: only root can make mounts");
        return None;
    }
    let unshare = |script: &str| {
        let mut command = fixture.command("unshare".as_ref());
        command.args(options).args(["/bin/sh", "-c", script]).arg(&*CLIENT).output()
    };
    match unshare("true") {
        Ok(output) if output.status.success() => Some(unshare(script).unwrap()),
        other => {
            println!("skipped: no namespaces can be made: {other:?}");
            None
        }
    }
}

#[test]
fn a_start_that_failed_by_the_low_limits_of_one_client_is_tried_again_for_others() {
    let fixture = Fixture::new();
    let wrapper = fixture.path().join("wrapper");
    let script =
        format!("#!/bin/sh\n[ $(ulimit -n) -lt 200 ] && exit 7\nexec {}\n", SERVER.display());
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    fixture.register(&wrapper, TEST_SERVICE, &[]);
    let low = shell(&fixture, "ulimit -n 100; exec \"$0\"");
    assert!(text(&low.stderr).starts_with("StartFailed: "), "{}", text(&low.stderr));
    // A client with higher limits tries to start the server immediately. The failure note applies
    // only to clients whose limits are not higher than the failed client's.
    let usual = shell(&fixture, "exec \"$0\"");
    assert!(usual.status.success(), "{}", text(&usual.stderr));
}

#[test]
fn without_descriptors_left_the_error_names_that_and_no_denial() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    let mut failures = 0;
    for limit in 4..12 {
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
        let output = shell(&fixture, &format!("ulimit -S -n {limit}; exec \"$0\""));
        let error = text(&output.stderr);
        if !output.status.success() {
            failures += 1;
            assert!(error.contains("Too many open files"), "{limit}: {error}");
            assert!(!error.contains("ActivationDenied"), "{limit}: {error}");
            assert!(!error.contains("may only connect"), "{limit}: {error}");
        }
    }
    assert!(failures > 0);
}

#[test]
fn without_room_for_files_the_error_names_that_and_no_program_is_left() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let run = fixture.runtime();
    // With each additional page, another file is the first that no longer fits.
    for pages in 1..8 {
        let script = format!(
            "mount -t tmpfs -o size={}k,mode=700 none {run} && : > {run}/full && \
             dd if=/dev/zero of={run}/full bs=4k count=1 2>/dev/null; exec \"$0\"",
            pages * 4,
            run = run.display()
        );
        let Some(output) = shell_in_namespaces(&fixture, &["--mount"], &script) else { return };
        let error = text(&output.stderr);
        if !output.status.success() {
            assert!(error.contains("No space left"), "{pages}: {error}");
            assert!(!error.contains("ActivationDenied"), "{pages}: {error}");
        }
        for process in fixture.processes("testkit-server") {
            process.kill();
            process.wait();
        }
    }
}

#[test]
fn a_missing_null_device_is_named_and_not_the_program() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let script = "mount -t tmpfs none /dev && exec \"$0\"";
    let Some(output) = shell_in_namespaces(&fixture, &["--mount"], script) else { return };
    let error = text(&output.stderr);
    assert!(error.contains("/dev/null, its standard input, can't be opened"), "{error}");
    assert!(!error.contains("interpreter"), "{error}");
}

#[test]
fn a_restarted_container_starts_servers_and_a_sandbox_in_it_does_not() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let options = ["--mount", "--pid", "--fork", "--mount-proc"];
    for _ in 0..2 {
        let Some(output) = shell_in_namespaces(&fixture, &options, "\"$0\"") else { return };
        assert!(output.status.success(), "{}", text(&output.stderr));
        // The processes in the namespace end with the process that has the ID 1.
        wait_until("the server ends", || fixture.processes("testkit-server").is_empty());
    }
    let script = "unshare --mount \"$0\"";
    let Some(output) =
        shell_in_namespaces(&fixture, &options, &format!("\"$0\"; sleep 1; {script}"))
    else {
        return;
    };
    let error = text(&output.stderr);
    // If the server of the first client still runs, it serves this client.
    if !output.status.success() {
        assert!(error.contains("another mount namespace"), "{error}");
    }
}

#[test]
fn a_program_with_file_capabilities_follows_no_environment() {
    if !am_root() {
        println!("skipped: only root can give a program capabilities");
        return;
    }
    let fixture = Fixture::new();
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(fixture.data(), Permissions::from_mode(0o755)).unwrap();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.path().join("testkit-client");
    copy(&CLIENT, &client);
    let as_user = || fixture.command(&client).uid(12_345).gid(12_345).output().unwrap();
    let before = text(&as_user().stderr);
    assert!(!before.contains("NotRegistered"), "the program must use XDG_DATA_HOME: {before}");
    match Command::new("setcap").arg("cap_net_raw+ep").arg(&client).output() {
        Ok(output) if output.status.success() => {}
        other => {
            println!("skipped: no capabilities can be given: {other:?}");
            return;
        }
    }
    let after = text(&as_user().stderr);
    assert!(after.starts_with("NotRegistered: "), "{after}");
    assert!(!after.contains(fixture.data().to_str().unwrap()), "{after}");
}

#[test]
fn a_runtime_folder_whose_name_is_not_utf_8_serves() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "1")]);
    let folder = fixture.path().join(OsStr::from_bytes(b"r\xffn"));
    DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let mut registry = fixture.registry();
    registry.runtime_dir = Some(folder.clone());
    let activation = fixture.activation().registry(registry);
    let client: TestServiceClient = activation.activate(TEST_SERVICE.clsid()).unwrap();
    assert!(client.peer_ids().is_ok());
    drop(client);
    wait_until("the server removes its socket", || {
        let has_socket = |path: &Path| path.extension().is_some_and(|name| name == "sock");
        let entries = fs::read_dir(folder.join("syshandle")).unwrap();
        !entries.flatten().any(|entry| has_socket(&entry.path()))
    });
}

#[test]
fn under_fakeroot_the_user_of_files_is_the_user_of_the_process() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    match fixture.command("fakeroot".as_ref()).arg(&*CLIENT).output() {
        Ok(output) => assert!(output.status.success(), "{}", text(&output.stderr)),
        Err(error) => println!("skipped: fakeroot can't be run: {error}"),
    }
}

#[test]
fn a_client_calls_under_valgrind() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    // Valgrind can't start a process that shares memory with its parent, so the server must already
    // run.
    let _held = fixture.activate().unwrap();
    match fixture.command("valgrind".as_ref()).arg("--quiet").arg(&*CLIENT).output() {
        Ok(output) => assert!(output.status.success(), "{}", text(&output.stderr)),
        Err(error) => println!("skipped: valgrind can't be run: {error}"),
    }
}
