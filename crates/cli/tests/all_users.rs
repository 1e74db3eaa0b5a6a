//! Tests registering for all users of this machine, and in the folder of a package.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sparkle::SPARKLE_FINISHER;
use syshandle_registry::{Policy, Registration};
use syshandle_testkit::{Fixture, copy, program};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");

/// Runs the command with a umask with which other users could not read its files.
fn syshandle(fixture: &Fixture, arguments: &[&str]) -> Output {
    let mut command = fixture.command("/bin/sh".as_ref());
    command.args(["-c", "umask 077; exec \"$0\" \"$@\"", COMMAND]).args(arguments);
    command.output().unwrap()
}

#[track_caller]
fn well(output: Output) -> String {
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && error.is_empty(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(output: Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Creates a folder that looks like the result of `make install DESTDIR=…`.
fn package(fixture: &Fixture) -> PathBuf {
    let package = fixture.path().join("package");
    fs::create_dir_all(package.join("usr/bin")).unwrap();
    copy(&program("sparkle", "sparkle-server"), &package.join("usr/bin/sparkle-server"));
    package
}

/// Returns the relative paths of all files, links and folders in a folder, recursively.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut all, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() && !path.is_symlink() {
                true => folders.push(path),
                false => all.push(path.strip_prefix(folder).unwrap().to_owned()),
            }
        }
    }
    all.sort();
    all
}

#[test]
fn files_of_a_package_contain_paths_of_the_target_machine() {
    let fixture = Fixture::new();
    let package = package(&fixture);
    let (root, bin) = (package.to_str().unwrap(), package.join("usr/bin"));
    let bin = bin.to_str().unwrap();
    let options = ["--systemd", "--users", "anyone", "--env", "MOOD=good"];
    let register = |path: &str| {
        let all = ["register", "--destdir", root, path];
        well(syshandle(&fixture, &[&all[..], &options].concat()))
    };
    let out = register(bin);
    assert!(out.contains("the package enables 'sparkle-server.socket'"), "{out}");
    let files = [
        "usr/bin/sparkle-server".into(),
        "usr/lib/systemd/system/sparkle-server.service".into(),
        "usr/lib/systemd/system/sparkle-server.socket".into(),
        format!("usr/share/syshandle/classes/{}", SPARKLE_FINISHER.clsid()),
        "usr/share/syshandle/programs/sparkle-server.toml".into(),
    ];
    assert_eq!(below(&package), files.each_ref().map(PathBuf::from));
    for file in &files[1..] {
        let file = package.join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(root), "{} names the package's folder: {text}", file.display());
        // All users can read the files and enter the folders.
        for (path, mode) in [(file.as_path(), 0o644), (file.parent().unwrap(), 0o755)] {
            let is = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(is, mode, "{}", path.display());
        }
    }
    let text = fs::read_to_string(package.join(&files[4])).unwrap();
    let registration = Registration::parse("sparkle-server", &text).unwrap();
    assert_eq!(registration.program, Path::new("/usr/bin/sparkle-server"));
    assert_eq!(registration.socket.unwrap(), Path::new("/run/syshandle/sparkle-server.sock"));
    assert_eq!(registration.policy, Policy::anyone());
    let socket = fs::read_to_string(package.join(&files[2])).unwrap();
    assert!(socket.contains("ListenSequentialPacket=/run/syshandle/sparkle-server.sock\n"));
    // Any user may connect, because the server asks the kernel for the user of each client.
    assert!(socket.contains("SocketMode=0666\nDirectoryMode=0755\n"), "{socket}");
    let service = fs::read_to_string(package.join(&files[1])).unwrap();
    let names = "SYSHANDLE_REGISTRATION=/usr/share/syshandle/programs/sparkle-server.toml";
    assert!(service.contains(names), "{service}");
    // The server marks itself as running in this folder beside its socket.
    let folder = "\nRuntimeDirectory=\"syshandle/sparkle-server\"\n";
    assert!(service.contains(folder), "{service}");
    // The command has not created a registration for this user.
    assert!(below(&fixture.data()).is_empty());

    // Registering again through a link produces the same files.
    let link = fixture.path().join("link");
    std::os::unix::fs::symlink(&package, &link).unwrap();
    register(link.join("usr/bin").to_str().unwrap());
    assert_eq!(below(&package), files.each_ref().map(PathBuf::from));

    // A registration without units contains no socket.
    well(syshandle(&fixture, &["register", "--destdir", root, bin]));
    assert_eq!(below(&package).len(), 3);
    let text = fs::read_to_string(package.join(&files[4])).unwrap();
    assert_eq!(Registration::parse("sparkle-server", &text).unwrap().socket, None);

    register(bin);
    well(syshandle(&fixture, &["clean", "--destdir", root, bin]));
    assert_eq!(below(&package), [PathBuf::from(&files[0])]);
    let error = refused(syshandle(&fixture, &["clean", "--destdir", root, bin]));
    assert!(error.contains("is registered in this package"), "{error}");
}

#[test]
fn the_socket_of_a_server_for_its_own_user_admits_only_this_user() {
    let fixture = Fixture::new();
    let package = package(&fixture);
    let root = package.to_str().unwrap();
    let program = package.join("usr/bin/sparkle-server");
    let program = program.to_str().unwrap();
    well(syshandle(&fixture, &["register", "--systemd", "--destdir", root, program]));
    let unit = package.join("usr/lib/systemd/system/sparkle-server.socket");
    assert!(fs::read_to_string(unit).unwrap().contains("SocketMode=0600\n"));
}

#[test]
fn a_program_outside_of_the_package_is_refused() {
    let fixture = Fixture::new();
    let package = package(&fixture);
    let elsewhere = fixture.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let root = elsewhere.to_str().unwrap();
    let program = package.join("usr/bin");
    let error =
        refused(syshandle(&fixture, &["register", "--destdir", root, program.to_str().unwrap()]));
    assert!(error.contains("is not below") && error.contains("--destdir"), "{error}");
    assert!(below(&elsewhere).is_empty());
}

/// Replaces system folders with empty ones, which are visible only to this process and its
/// children.
#[test]
fn a_server_that_is_registered_for_all_users_is_found_and_removed() {
    let fixture = Fixture::new();
    let package = package(&fixture);
    let bin = package.join("usr/bin");
    let script = "
        set -e
        umask 077
        mount -t tmpfs tmpfs /usr/local/share
        mount -t tmpfs tmpfs /etc
        \"$0\" register --system --users anyone \"$1\"
        cat /usr/local/share/syshandle/programs/*
        \"$0\" list
        \"$0\" clean \"$1\" 2>&1 || true
        \"$0\" register --system --systemd \"$1\"
        ls /etc/systemd/system
        if command -v systemd-analyze >/dev/null; then
            systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/*.s*
        fi
        \"$0\" clean --system \"$1\"
        find /usr/local/share /etc -type f
        \"$0\" list";
    let namespace = ["--user", "--map-root-user", "--mount"];
    let mut probe = Command::new("unshare");
    match probe.args(namespace).args(["mount", "-t", "tmpfs", "t", "/mnt"]).output() {
        Ok(output) if output.status.success() => {}
        other => return println!("skipped: nothing can be mounted in a namespace: {other:?}"),
    }
    let mut command = fixture.command("unshare".as_ref());
    command.env_remove("XDG_DATA_DIRS").args(namespace);
    command.args(["sh", "-c", script, COMMAND]).arg(&bin);
    let out = well(command.output().unwrap());
    let class = "SPARKLE_FINISHER {ea27c73a-48c2-4714-9d20-a9d2c4f6aed3}\n";
    let file = "/usr/local/share/syshandle/programs/sparkle-server.toml";
    let registered = format!("registered {class}        for {}/sparkle-server\n", bin.display());
    assert!(out.starts_with(&format!("{registered}         in {file}\n")), "{out}");
    assert!(out.contains("users = \"anyone\"\n"), "{out}");
    assert!(out.contains(&format!("    file     {file}\n")), "{out}");
    assert!(out.contains("registrations for all users need --system"), "{out}");
    let next = "next: systemctl daemon-reload && systemctl enable --now 'sparkle-server.socket'\n";
    assert!(out.contains(next), "{out}");
    assert!(out.contains("keeping users"), "{out}");
    assert!(out.contains("sparkle-server.service\nsparkle-server.socket\n"), "{out}");
    assert!(out.contains("removed /etc/systemd/system/sparkle-server.socket\n"), "{out}");
    let end = format!("removed {file}\nno class is registered\n");
    assert!(out.ends_with(&end), "files are left: {out}");
}
