//! Tests registering, listing and removing classes on the command line.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test says what it could not do, and why")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use sparkle::{SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::object::Proxy;
use syshandle_testkit::{Fixture, Process, SERVER, SocketActivator, TEST_SERVICE, copy, program};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");
static SPARKLE: LazyLock<PathBuf> = LazyLock::new(|| program("sparkle", "sparkle-server"));

/// The sample's class as the command prints it.
const CLASS: &str = "SPARKLE_FINISHER {ea27c73a-48c2-4714-9d20-a9d2c4f6aed3}";

/// The result of running the command.
struct Said {
    succeeded: bool,
    out: String,
    error: String,
}

fn syshandle(fixture: &Fixture, arguments: &[&dyn AsRef<OsStr>]) -> Said {
    let mut command = fixture.command(COMMAND.as_ref());
    said(command.args(arguments.iter().map(|argument| argument.as_ref())))
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let succeeded = output.status.success();
    Said { succeeded, out: text(&output.stdout), error: text(&output.stderr) }
}

impl Said {
    #[track_caller]
    fn well(self) -> String {
        assert!(self.succeeded, "{}", self.error);
        self.out
    }

    #[track_caller]
    fn no(self) -> String {
        assert!(!self.succeeded, "{}", self.out);
        self.error
    }
}

/// Creates a folder that contains copies of programs.
fn folder_with(fixture: &Fixture, name: &str, programs: &[(&Path, &str)]) -> PathBuf {
    let folder = fixture.path().join(name);
    fs::create_dir(&folder).unwrap();
    for (program, name) in programs {
        copy(program, &folder.join(name));
    }
    folder
}

#[test]
fn a_server_is_registered_listed_used_and_removed() {
    let fixture = Fixture::new();
    assert_eq!(syshandle(&fixture, &[&"list"]).well(), "no class is registered\n");
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "sparkle-server")]);
    let server = folder.join("sparkle-server");

    let out = syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    let file = fixture.data().join("syshandle/programs/sparkle-server.toml");
    let (server, file) = (server.display(), file.display());
    let expected = format!("registered {CLASS}\n        for {server}\n         in {file}\n");
    assert_eq!(out, expected);

    let listed = |state| {
        format!("{CLASS}\n    program  {server}\n    file     {file}\n    server   {state}\n")
    };
    assert_eq!(syshandle(&fixture, &[&"list"]).well(), listed("not running"));
    let client: SparkleFinisherClient =
        fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    let running = format!("running (process {})", fixture.processes("sparkle-server")[0].pid());
    assert_eq!(syshandle(&fixture, &[&"list"]).well(), listed(&running));
    let process = Process::open(client.as_client().server().unwrap().pid).unwrap();
    process.kill();
    process.wait();
    assert_eq!(syshandle(&fixture, &[&"list"]).well(), listed("not running"));

    let out = syshandle(&fixture, &[&"clean", &"--path", &folder]).well();
    assert_eq!(out, format!("removed {file}\n"));
    assert_eq!(syshandle(&fixture, &[&"list"]).well(), "no class is registered\n");
    let classes = fixture.data().join("syshandle/classes");
    assert_eq!(fs::read_dir(classes).unwrap().count(), 0);
    let error = syshandle(&fixture, &[&"clean", &"--path", &folder]).no();
    assert!(error.contains("no program in") && error.contains("is registered"), "{error}");
}

#[test]
fn only_programs_that_serve_are_registered_and_nothing_is_run() {
    let fixture = Fixture::new();
    let client = program("sparkle", "sparkle-client");
    let own = Path::new(COMMAND);
    let programs = [(&*SPARKLE as &Path, "server"), (&client, "client"), (own, "syshandle")];
    let folder = folder_with(&fixture, "bin", &programs);
    // Files that must not be registered: a copy without execute permission, a script that would
    // leave a trace if it were run, and a dangling link.
    copy(&SPARKLE, &folder.join("data"));
    fs::set_permissions(folder.join("data"), fs::Permissions::from_mode(0o644)).unwrap();
    let trace = fixture.path().join("trace");
    fs::write(folder.join("script"), format!("#!/bin/sh\ntouch {}\n", trace.display())).unwrap();
    fs::set_permissions(folder.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/no/such/file", folder.join("link")).unwrap();

    let out = syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    assert_eq!(out.matches("registered ").count(), 1, "{out}");
    assert!(out.contains("bin/server\n"), "{out}");
    assert!(!trace.exists());
    assert!(fixture.processes("server").is_empty());

    let error = syshandle(&fixture, &[&"register", &"--path", &folder.join("client")]).no();
    assert!(error.contains("contains no program that serves a class"), "{error}");
    let error = syshandle(&fixture, &[&"register", &"--path", &folder.join("missing")]).no();
    assert!(error.contains("can't be searched: No such file"), "{error}");
}

#[test]
fn a_stripped_program_is_found_too() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let mut strip = Command::new("strip");
    match strip.arg("--strip-all").arg(folder.join("server")).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => return println!("skipped: there is no strip: {error}"),
    }
    let out = syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    assert!(out.contains(CLASS), "{out}");
}

#[test]
fn odd_names_are_kept() {
    let fixture = Fixture::new();
    for name in ["a server", "sérvér", "100% \"quoted\" $HOME", "tab\tand\nline", "-x", ".hidden"]
    {
        let folder = folder_with(&fixture, "bin", &[(&SPARKLE, name)]);
        syshandle(&fixture, &[&"register", &"--path", &folder]).well();
        let found = fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap();
        assert_eq!(found.registration.program, folder.join(name));
        let client: SparkleFinisherClient =
            fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
        let server = Process::open(client.as_client().server().unwrap().pid).unwrap();
        server.kill();
        server.wait();
        syshandle(&fixture, &[&"clean", &"--path", &folder]).well();
        fs::remove_dir_all(folder).unwrap();
    }
    let name = OsStr::from_bytes(b"server\xff");
    let folder = fixture.path().join("bin");
    fs::create_dir(&folder).unwrap();
    copy(&SPARKLE, &folder.join(name));
    let error = syshandle(&fixture, &[&"register", &"--path", &folder]).no();
    assert!(error.contains("isn't UTF-8"), "{error}");
}

#[test]
fn another_program_can_replace_the_registration_of_a_class() {
    let fixture = Fixture::new();
    let first = folder_with(&fixture, "first", &[(&SPARKLE, "sparkle-server")]);
    let second = folder_with(&fixture, "second", &[(&SPARKLE, "other-server")]);
    syshandle(&fixture, &[&"register", &"--path", &first]).well();
    let out = syshandle(&fixture, &[&"register", &"--path", &second]).well();
    let was = format!("SPARKLE_FINISHER was served by {}", first.join("sparkle-server").display());
    assert!(out.contains(&was), "{out}");
    let program = |fixture: &Fixture| {
        fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap().registration.program
    };
    assert_eq!(program(&fixture), second.join("other-server"));
    let list = syshandle(&fixture, &[&"list"]).well();
    let instead = fixture.data().join("syshandle/programs/other-server.toml");
    assert!(list.contains(&format!("    instead  {}\n", instead.display())), "{list}");

    // After the first folder is removed, the class is still registered for the second.
    syshandle(&fixture, &[&"clean", &"--path", &first]).well();
    assert_eq!(program(&fixture), second.join("other-server"));

    // Another build of the same program replaces the earlier registration.
    let third = folder_with(&fixture, "third", &[(&SPARKLE, "other-server")]);
    syshandle(&fixture, &[&"register", &"--path", &third]).well();
    assert_eq!(program(&fixture), third.join("other-server"));
    let list = syshandle(&fixture, &[&"list"]).well();
    assert_eq!(list.matches(CLASS).count(), 1, "{list}");
}

#[test]
fn programs_with_the_same_name_have_separate_registrations() {
    let fixture = Fixture::new();
    let first = folder_with(&fixture, "first", &[(&SPARKLE, "server")]);
    let second = folder_with(&fixture, "second", &[(&SERVER, "server")]);
    for folder in [&first, &second, &first, &second] {
        syshandle(&fixture, &[&"register", &"--path", folder]).well();
    }
    let registry = fixture.registry();
    let program = |clsid| registry.find(clsid).unwrap().registration.program;
    assert_eq!(program(SPARKLE_FINISHER.clsid()), first.join("server"));
    assert_eq!(program(TEST_SERVICE.clsid()), second.join("server"));
    assert_eq!(registry.list().len(), 2);
    syshandle(&fixture, &[&"clean", &"--path", &second]).well();
    assert!(registry.find(TEST_SERVICE.clsid()).is_err());
    assert_eq!(program(SPARKLE_FINISHER.clsid()), first.join("server"));
}

#[test]
fn environment_variables_are_registered() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let arguments: [&dyn AsRef<OsStr>; 7] =
        [&"register", &"--path", &folder, &"--env", &"MOOD=a = \"b\"", &"--env", &"EMPTY="];
    syshandle(&fixture, &arguments).well();
    let registration = fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap().registration;
    let expected = [("EMPTY".to_owned(), String::new()), ("MOOD".into(), "a = \"b\"".into())];
    assert_eq!(registration.environment, expected.into());
    let error = syshandle(&fixture, &[&"register", &"--env", &"MOOD"]).no();
    assert!(error.contains("expected NAME=VALUE"), "{error}");
}

#[test]
fn a_registry_that_cannot_be_written_is_an_error() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    // Root can write to any folder, so the command must run as another user.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let command = fixture.path().join("syshandle");
    copy(COMMAND.as_ref(), &command);
    if is_root {
        let mut chown = Command::new("chown");
        assert!(chown.args(["-R", "65534:65534"]).arg(fixture.path()).status().unwrap().success());
    }
    let run = |arguments: &[&dyn AsRef<OsStr>]| {
        let mut command = fixture.command(&command);
        if is_root {
            command.uid(65534).gid(65534);
        }
        said(command.args(arguments.iter().map(|argument| argument.as_ref())))
    };
    let registry = fixture.data().join("syshandle");
    for name in ["programs", "classes"] {
        fs::set_permissions(registry.join(name), fs::Permissions::from_mode(0o555)).unwrap();
    }
    let error = run(&[&"register", &"--env", &"A=B", &"--path", &folder]).no();
    assert!(error.contains("server.toml can't be written: Permission denied"), "{error}");
    let error = run(&[&"clean", &"--path", &folder]).no();
    assert!(error.contains("can't be removed: Permission denied"), "{error}");
    assert!(run(&[&"list"]).well().contains(CLASS));

    fs::set_permissions(registry.join("programs"), fs::Permissions::from_mode(0o777)).unwrap();
    let error = run(&[&"register", &"--path", &folder]).no();
    assert!(error.contains("can't be trusted: other users may write to it"), "{error}");
    // Makes it possible to remove the folder.
    fs::set_permissions(registry.join("classes"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn other_users_cannot_write_to_the_registry_under_any_umask() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let mut command = fixture.command(Path::new("/bin/sh"));
    command.arg("-c").arg("umask 0; exec \"$0\" register --path \"$1\"");
    said(command.arg(COMMAND).arg(&folder)).well();
    let registered = fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap();
    assert_eq!(fs::metadata(&registered.path).unwrap().mode() & 0o777, 0o644);
    assert_eq!(fs::metadata(registered.path.parent().unwrap()).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn a_damaged_registration_is_listed_with_its_error() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    let file = fixture.data().join("syshandle/programs/broken.toml");
    fs::write(&file, "program").unwrap();
    let said = syshandle(&fixture, &[&"list"]);
    assert!(!said.succeeded && said.out.contains(CLASS));
    let fixture = format!("{}: line 1, column 8: `program`: ", file.display());
    assert!(said.error.starts_with(&fixture), "{}", said.error);
    assert_eq!(said.error.lines().count(), 1, "{}", said.error);
}

#[test]
fn a_program_registered_through_a_link_follows_the_link() {
    let fixture = Fixture::new();
    for version in ["app-1", "app-2"] {
        folder_with(&fixture, version, &[(&SPARKLE, "server")]);
    }
    let current = fixture.path().join("current");
    let switch = |to: &str| {
        let _ = fs::remove_file(&current);
        symlink(to, &current).unwrap();
    };
    let program =
        || fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap().registration.program;
    let stranger = fixture.path().join("app-1/../current/server");
    let server = current.join("server");
    let by_folder = |arguments: &[&dyn AsRef<OsStr>]| syshandle(&fixture, arguments).well();
    for register in 0..4 {
        switch("app-1");
        match register {
            0 => drop(by_folder(&[&"register", &current])),
            1 => drop(by_folder(&[&"register", &server])),
            2 => drop(by_folder(&[&"register", &stranger])),
            // Registers the current folder, with the path that a shell shows after it has followed
            // a link.
            _ => {
                let mut command = fixture.command(COMMAND.as_ref());
                command.arg("register").current_dir(&current).env("PWD", &current);
                said(&mut command).well();
            }
        }
        assert_eq!(program(), server, "{register}");
        switch("app-2");
        let client: SparkleFinisherClient =
            fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
        let process = client.as_client().server().unwrap().pid;
        let running = fs::read_link(format!("/proc/{process}/exe")).unwrap();
        assert_eq!(running, fs::canonicalize(fixture.path().join("app-2/server")).unwrap());
        if register == 0 {
            switch("app-1");
            let listed = by_folder(&[&"list"]);
            assert!(listed.contains("whose program was replaced"), "{listed}");
            switch("app-2");
        }
        let process = Process::open(process).unwrap();
        process.kill();
        process.wait();
        // Removes the registration by the link, by the link's current target, and by the link when
        // it is dangling.
        match register {
            0 => drop(by_folder(&[&"clean", &current])),
            1 => drop(by_folder(&[&"clean", &fixture.path().join("app-2")])),
            _ => {
                switch("gone");
                by_folder(&[&"clean", &current]);
            }
        }
    }
}

#[test]
fn a_link_is_registered_instead_of_its_target_in_the_same_folder() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "a-server-1.2")]);
    symlink("a-server-1.2", folder.join("server")).unwrap();
    let out = syshandle(&fixture, &[&"register", &folder]).well();
    assert_eq!(out.matches("registered ").count(), 1, "{out}");
    let program = fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap().registration.program;
    assert_eq!(program, folder.join("server"));
}

#[test]
fn registering_again_keeps_handwritten_values() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    syshandle(&fixture, &[&"register", &folder]).well();
    let file = fixture.data().join("syshandle/programs/server.toml");
    let text = fs::read_to_string(&file).unwrap();
    let by_hand = "arguments = [\"--fast\"]\nusers = [0, 7]\nstart_timeout_ms = 1500\n\
                   # A comment.\n[environment]\nMOOD = \"good\"\n";
    let edited = text.replace("users = \"same\"\n", by_hand);
    assert!(edited != text, "{text}");
    fs::write(&file, &edited).unwrap();

    let out = syshandle(&fixture, &[&"register", &folder]).well();
    assert!(out.contains("keeping arguments, environment, users, start_timeout_ms"), "{out}");
    assert_eq!(fs::read_to_string(&file).unwrap(), edited, "not even its comments change");

    let out = syshandle(&fixture, &[&"register", &folder, &"--env", &"SONG=none"]).well();
    assert!(out.contains("without the comments that the file had"), "{out}");
    let registration = || fixture.registry().own("server").unwrap().unwrap().registration;
    let kept = registration();
    assert_eq!(kept.arguments, ["--fast"]);
    assert_eq!(
        (
            kept.policy.allows(syshandle::handle::UserId::from_kernel(7)),
            kept.policy.allows(syshandle::handle::UserId::from_kernel(8))
        ),
        (true, false)
    );
    assert_eq!(kept.start_timeout.as_millis(), 1500);
    let variables = [("MOOD".to_owned(), "good".to_owned()), ("SONG".into(), "none".into())];
    assert_eq!(kept.environment, variables.into());

    let out = syshandle(&fixture, &[&"register", &folder, &"--users", &"anyone"]).well();
    assert!(out.contains("keeping arguments, environment, start_timeout_ms ("), "{out}");

    syshandle(&fixture, &[&"register", &folder, &"--defaults"]).well();
    let fresh = registration();
    assert!(fresh.arguments.is_empty() && fresh.environment.is_empty());
    assert!(fs::read_to_string(&file).unwrap().contains("users = \"same\""));
}

#[test]
fn each_value_of_a_registration_has_an_option() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let socket = fixture.path().join("socket");
    let arguments: [&dyn AsRef<OsStr>; 12] = [
        &"register",
        &"--users",
        &"anyone",
        &"--argument",
        &"--fast",
        &"--argument=a b",
        &"--start-timeout-ms",
        &"700",
        &"--socket",
        &socket,
        &"--env=A=B",
        &folder,
    ];
    syshandle(&fixture, &arguments).well();
    let registration = fixture.registry().own("server").unwrap().unwrap().registration;
    assert!(registration.policy.allows(syshandle::handle::UserId::from_kernel(12345)));
    assert_eq!(registration.arguments, ["--fast", "a b"]);
    assert_eq!(registration.start_timeout.as_millis(), 700);
    assert_eq!(registration.socket, Some(socket.clone()));
    assert_eq!(registration.environment, [("A".to_owned(), "B".to_owned())].into());
    // A socket that belongs to another program is also kept.
    syshandle(&fixture, &[&"register", &folder, &"--users", &"7,8"]).well();
    let registration = fixture.registry().own("server").unwrap().unwrap().registration;
    assert_eq!(registration.socket, Some(socket));
    assert!(
        registration.policy.allows(syshandle::handle::UserId::from_kernel(8))
            && !registration.policy.allows(syshandle::handle::UserId::from_kernel(9))
    );
    let error = syshandle(&fixture, &[&"register", &folder, &"--users", &"some"]).no();
    assert!(error.contains("expected same, anyone, or user IDs such as 1000,1001"), "{error}");
    let error = syshandle(&fixture, &[&"register", &folder, &"--start-timeout-ms", &"0"]).no();
    assert!(error.contains("start-timeout-ms"), "{error}");
}

#[test]
fn a_policy_for_users_that_cannot_reach_the_socket_causes_a_warning() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let warning = "`--users` admits no other user";
    let register = |more: &[&dyn AsRef<OsStr>]| {
        let said =
            syshandle(&fixture, &[&[&"register" as &dyn AsRef<OsStr>, &folder], more].concat());
        assert!(said.succeeded, "{}", said.error);
        said.error
    };
    assert!(!register(&[]).contains(warning));
    let error = register(&[&"--users", &"anyone"]);
    assert!(error.contains(warning) && error.contains("--system"), "{error}");
    assert!(register(&[]).contains(warning), "the value is kept");
    let socket = fixture.path().join("socket");
    assert!(!register(&[&"--socket", &socket]).contains(warning));
}

#[test]
fn a_registration_that_cannot_be_read_is_not_replaced_by_mistake() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    syshandle(&fixture, &[&"register", &folder]).well();
    let file = fixture.data().join("syshandle/programs/server.toml");
    fs::write(&file, "program = \"/s\"\nuser = [7]\n").unwrap();
    let error = syshandle(&fixture, &[&"register", &folder]).no();
    assert!(error.contains("line 2") && error.contains("--defaults"), "{error}");
    assert!(fs::read_to_string(&file).unwrap().contains("user = [7]"));
    syshandle(&fixture, &[&"register", &folder, &"--defaults"]).well();
    assert!(syshandle(&fixture, &[&"list"]).well().contains(CLASS));
}

#[test]
fn stop_ends_the_servers_of_a_class_and_log_shows_their_output() {
    let fixture = Fixture::new();
    let environment = [("TESTKIT_IDLE_MS", "60000"), ("TESTKIT_STARTUP_TEXT", "a\u{1b}[31m line")];
    fixture.register(&SERVER, TEST_SERVICE, &environment);
    assert!(
        syshandle(&fixture, &[&"log", &"TEST_SERVICE"]).error.contains("no client has started")
    );
    assert_eq!(syshandle(&fixture, &[&"stop", &"TEST_SERVICE"]).well(), "no server runs\n");
    let server = fixture.activate().unwrap().peer_ids().unwrap().server_pid;
    let log = syshandle(&fixture, &[&"log", &"TEST_SERVICE"]).well();
    assert!(log.contains("a\\u{1b}[31m line"), "escaped for the terminal: {log}");
    let said = syshandle(&fixture, &[&"stop", &TEST_SERVICE.clsid().to_string()]).well();
    assert_eq!(said, format!("process {server} has ended\n"));
    assert!(fixture.processes("testkit-server").is_empty());
    assert!(syshandle(&fixture, &[&"stop", &"NONE"]).no().contains("no class is registered"));
}

#[test]
fn a_registration_that_others_may_change_is_skipped_with_the_reason() {
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "sparkle-server")]);
    syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    fs::set_permissions(&registered.path, fs::Permissions::from_mode(0o666)).unwrap();
    let said = syshandle(&fixture, &[&"list"]);
    let reason = format!("skipped: {} can't be trusted", registered.path.display());
    assert!(said.error.starts_with(&reason), "{}", said.error);
    assert!(said.well().contains(CLASS));
}

#[test]
fn units_are_valid_and_clients_leave_the_start_to_systemd() {
    let fixture = Fixture::new();
    for name in ["sparkle-server", "a server of 100% quality; $HOME ${HOME}"] {
        let folder = folder_with(&fixture, "bin", &[(&SPARKLE, name)]);
        let arguments: [&dyn AsRef<OsStr>; 6] =
            [&"register", &"--systemd", &"--env", &"MOOD=50% \"of\" $HOME", &"--path", &folder];
        let out = syshandle(&fixture, &arguments).well();
        let units: Vec<_> =
            out.lines().filter_map(|line| line.strip_prefix("wrote ").map(PathBuf::from)).collect();
        assert_eq!(units.len(), 2, "{out}");
        verify(&fixture, &units);

        let registered = fixture.registry().find(SPARKLE_FINISHER.clsid()).unwrap();
        let socket = registered.registration.socket.clone().unwrap();
        let units_socket = fs::read_to_string(&units[0]).unwrap();
        let listens = format!("ListenSequentialPacket={}\n", socket.display());
        assert!(units_socket.contains(&listens), "{units_socket}");
        // Without systemd, no process listens on the socket, and the client doesn't start the
        // server.
        let activation = fixture.activation();
        let error =
            activation.activate::<SparkleFinisherClient>(SPARKLE_FINISHER.clsid()).unwrap_err();
        assert!(error.to_string().contains("systemctl --user start"), "{error}");
        assert!(fixture.processes(name).is_empty());
        let list = syshandle(&fixture, &[&"list"]).well();
        assert!(list.contains("server   started by the listener of its socket"), "{list}");

        // Starts the server in the same way as systemd.
        let activator = SocketActivator::new(socket);
        let client = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                fixture.activation().activate::<SparkleFinisherClient>(SPARKLE_FINISHER.clsid())
            });
            let mut server = activator.start(&fixture, &folder.join(name), &[]);
            let client = client.join().unwrap().unwrap();
            assert_eq!(client.as_client().server().unwrap().pid, server.id());
            let list = syshandle(&fixture, &[&"list"]).well();
            assert!(list.contains("server   running"), "{list}");
            server.kill().unwrap();
            server.wait().unwrap();
            client
        });
        drop((client, activator));

        syshandle(&fixture, &[&"clean", &"--path", &folder]).well();
        assert!(units.iter().all(|unit| !unit.exists()));
        fs::remove_dir_all(folder).unwrap();
    }
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "a \"server\"")]);
    let error = syshandle(&fixture, &[&"register", &"--systemd", &"--path", &folder]).no();
    assert!(error.contains("systemd can't run a program with quotes"), "{error}");
}

/// A service of the system manager has no `XDG_RUNTIME_DIR`, and neither has its administrator.
/// `RuntimeDirectory=` in the unit makes the folder beside the socket.
#[test]
fn list_and_stop_find_a_server_without_a_runtime_folder_and_need_none() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let socket = fixture.path().join("system/server.sock");
    fs::create_dir_all(socket.with_extension("")).unwrap();
    syshandle(&fixture, &[&"register", &"--socket", &socket, &folder]).well();
    let without_folder = |arguments: &[&str]| {
        let mut command = fixture.command(COMMAND.as_ref());
        said(command.args(arguments).env_remove("XDG_RUNTIME_DIR"))
    };
    let waiting = "server   started by the listener of its socket";
    assert!(without_folder(&["list"]).well().contains(waiting));

    let activator = SocketActivator::new(socket);
    let environment = [("XDG_RUNTIME_DIR", "")];
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            fixture.activation().activate::<SparkleFinisherClient>(SPARKLE_FINISHER.clsid())
        });
        let mut server = activator.start(&fixture, &folder.join("server"), &environment);
        client.join().unwrap().unwrap();
        let running = format!("server   running (process {})", server.id());
        assert!(without_folder(&["list"]).well().contains(&running));
        let ended = format!("process {} has ended\n", server.id());
        assert_eq!(without_folder(&["stop", "SPARKLE_FINISHER"]).well(), ended);
        server.wait().unwrap();
    });
    assert!(without_folder(&["list"]).well().contains(waiting));
    let said = without_folder(&["stop", "SPARKLE_FINISHER"]).well();
    assert!(said.contains("`systemctl --user status 'server.service'`"), "{said}");
}

#[test]
fn hints_for_a_server_of_the_system_name_the_system_manager() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    let socket = "/run/syshandle/there is no such server.sock";
    syshandle(&fixture, &[&"register", &"--socket", &socket, &folder]).well();
    let activation = fixture.activation();
    let error = activation.activate::<SparkleFinisherClient>(SPARKLE_FINISHER.clsid()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("`systemctl start`") && error.contains("`journalctl`"), "{error}");
    let said = syshandle(&fixture, &[&"log", &"SPARKLE_FINISHER"]).no();
    assert!(said.contains("`journalctl --unit 'server.service'`"), "{said}");
    let said = syshandle(&fixture, &[&"stop", &"SPARKLE_FINISHER"]).well();
    assert!(said.contains("`systemctl status 'server.service'`"), "{said}");
}

/// Lets systemd verify the units.
fn verify(fixture: &Fixture, units: &[PathBuf]) {
    let mut command = fixture.command(Path::new("/usr/bin/env"));
    command.args(["systemd-analyze", "verify", "--user", "--man=no", "--recursive-errors=no"]);
    let said = said(command.args(units));
    if said.error.contains("No such file") && said.error.starts_with("/usr/bin/env") {
        return println!("skipped: there is no systemd-analyze");
    }
    assert!(said.succeeded && said.error.is_empty(), "{}", said.error);
}

#[test]
fn registering_again_without_systemd_removes_the_units() {
    let fixture = Fixture::new();
    let folder = folder_with(&fixture, "bin", &[(&SPARKLE, "server")]);
    syshandle(&fixture, &[&"register", &"--systemd", &"--path", &folder]).well();
    let units = fixture.path().join(".config/systemd/user");
    assert_eq!(fs::read_dir(&units).unwrap().count(), 2);
    syshandle(&fixture, &[&"register", &"--path", &folder]).well();
    assert_eq!(fs::read_dir(&units).unwrap().count(), 0);
    let client: SparkleFinisherClient =
        fixture.activation().activate(SPARKLE_FINISHER.clsid()).unwrap();
    assert!(client.as_client().server().is_ok());
    // A unit that `register` has not written is kept.
    fs::write(units.join("server.socket"), "[Socket]\n").unwrap();
    syshandle(&fixture, &[&"clean", &"--path", &folder]).well();
    assert!(units.join("server.socket").exists());
}
