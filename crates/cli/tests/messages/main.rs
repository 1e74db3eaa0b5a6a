//! Error messages of the command. Each situation is provoked as a user would, and the standard
//! error with the exit code is compared with `messages/commands.txt`. With `UPDATE_EXPECTED=1`, the
//! test rewrites this file instead.
//!
//! `docs/guide/troubleshooting.md` must have an entry for each message. The tests of
//! `syshandle-testkit` compare it with this file.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use syshandle::Guid;
use syshandle_testkit::{Fixture, Messages, SERVER, TEST_SERVICE, copy, text};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");

#[test]
fn the_messages_of_the_command() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/commands.txt");
    let mut messages = Messages::new(file);
    let all = &mut messages;
    register(all);
    clean(all);
    classes(all);
    servers(all);
    files(all);
    interfaces(all);
    changes(all);
    messages.check();
}

/// A fixture whose folder the messages show as `$FOLDER`.
fn fixture(all: &mut Messages) -> Fixture {
    let fixture = Fixture::new();
    all.replace(&SERVER, "$SERVER");
    all.replace(fixture.path(), "$FOLDER");
    fixture
}

/// Returns the command with arguments. It runs in the folder of the fixture.
fn command(fixture: &Fixture, arguments: &[&dyn AsRef<OsStr>]) -> Command {
    let mut command = fixture.command(COMMAND.as_ref());
    command.args(arguments.iter().map(|argument| argument.as_ref()));
    command.current_dir(fixture.path()).stdin(Stdio::null());
    command
}

/// Runs a command and adds its standard error and its exit code.
fn add(all: &mut Messages, situation: &'static str, mut command: Command) {
    let output = command.output().unwrap();
    let mut message = String::new();
    let error = text(&output.stderr);
    assert!(!error.is_empty(), "{situation}: {}", text(&output.stdout));
    for (index, line) in error.lines().enumerate() {
        let start = if index == 0 { "display: " } else { "         " };
        writeln!(message, "{}", format!("{start}{line}").trim_end()).unwrap();
    }
    writeln!(message, "exit code: {}", output.status.code().unwrap()).unwrap();
    all.push(situation, &message);
}

/// Creates a folder that contains a copy of the server with this name.
fn server_named(fixture: &Fixture, name: impl AsRef<OsStr>) -> PathBuf {
    let folder = fixture.path().join("bin");
    fs::create_dir(&folder).unwrap();
    copy(&SERVER, &folder.join(name.as_ref()));
    folder
}

fn register(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| {
        command(&fixture, &[&[&"register" as &dyn AsRef<OsStr>], arguments].concat())
    };
    add(all, "register: a path that does not exist", run(&[&"missing"]));
    add(all, "register: a folder without a server", run(&[&"data"]));
    add(all, "register: a variable without a value", run(&[&"--env", &"MOOD"]));
    add(all, "register: users that are no IDs", run(&[&"--users", &"some"]));

    let folder = server_named(&fixture, "server");
    let package = fixture.path().join("package");
    add(all, "register: a package that is missing", run(&[&"--destdir", &"missing/..", &folder]));
    add(all, "register: a program outside of the package", run(&[&"--destdir", &package, &folder]));
    let mut without_home = run(&[&folder]);
    without_home.env_remove("HOME").env_remove("XDG_DATA_HOME");
    add(all, "register: no folder for registrations", without_home);
    let mut without_home = run(&[&"--systemd", &folder]);
    without_home.env_remove("HOME");
    add(all, "register: no folder for units", without_home);
    add(all, "register: users that can't reach the socket", run(&[&"--users", &"anyone", &folder]));
    let file = fixture.data().join("syshandle/programs/server.toml");
    fs::write(&file, "program = \"/s\"\nuser = [7]\n").unwrap();
    add(all, "register: an earlier registration that is damaged", run(&[&folder]));
    fs::remove_dir_all(&folder).unwrap();

    let folder = server_named(&fixture, "a \"server\"");
    add(all, "register: a name that systemd can't run", run(&[&"--systemd", &folder]));
    fs::remove_dir_all(&folder).unwrap();

    let folder = server_named(&fixture, OsStr::from_bytes(b"server\xff"));
    add(all, "register: a name that is not UTF-8", run(&[&folder]));
    fs::remove_dir_all(&folder).unwrap();

    fs::create_dir_all(package.join("usr/bin")).unwrap();
    let program = package.join("usr/bin").join("s".repeat(100));
    copy(&SERVER, &program);
    add(
        all,
        "register: a name that is too long for a socket",
        run(&[&"--systemd", &"--destdir", &package, &program]),
    );
}

fn clean(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| {
        command(&fixture, &[&[&"clean" as &dyn AsRef<OsStr>], arguments].concat())
    };
    add(all, "clean: nothing is registered", run(&[&"bin"]));
    add(all, "clean: nothing is registered in the package", run(&[&"--destdir", &"a", &"bin"]));
    add(all, "clean: a path that can't be resolved", run(&[&"missing/../bin"]));
}

fn classes(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| command(&fixture, arguments);
    add(all, "stop: no class is registered", run(&[&"stop", &"NONE"]));
    let clsid = TEST_SERVICE.clsid().to_string();
    add(all, "log: an identifier that is not registered", run(&[&"log", &clsid]));
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    add(all, "stop: an unknown name", run(&[&"stop", &"NONE"]));
    add(all, "attack: an unknown scenario", run(&[&"attack", &clsid, &"--only", &"none"]));
    let mut other = fixture.registration(&SERVER, TEST_SERVICE);
    other.name = "other".into();
    other.classes[0].clsid = Guid::NIL;
    fixture.register_as(&other);
    add(all, "stop: a name of several classes", run(&[&"stop", &"TEST_SERVICE"]));
    let files = fixture.data().join("syshandle/programs");
    fs::write(files.join("other.toml"), "program").unwrap();
    add(all, "list: a registration that is damaged", run(&[&"list"]));
}

fn servers(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| command(&fixture, arguments);
    let file = fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "60000")]);
    let log = fixture.runtime_paths(&file).log;
    add(all, "log: a server that no client has started", run(&[&"log", &"TEST_SERVICE"]));
    fs::create_dir_all(&log).unwrap();
    add(all, "log: a log that can't be read", run(&[&"log", &"TEST_SERVICE"]));
    fs::remove_dir(&log).unwrap();

    drop(fixture.activate().unwrap());
    let server = &fixture.processes("testkit-server")[0];
    server.stop();
    let stop = run(&[&"stop", &"TEST_SERVICE", &"--timeout-ms", &"1"]);
    add(all, "stop: a server that does not end in time", stop);
    server.kill();

    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(fixture.path().join("managed"));
    fixture.register_as(&registration);
    add(all, "log: a server that another program starts", run(&[&"log", &"TEST_SERVICE"]));
}

fn files(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| command(&fixture, arguments);
    let mut list = run(&[&"list"]);
    list.stdout(File::create("/dev/full").unwrap());
    add(all, "list: an output without room", list);
    fs::write(fixture.path().join("file"), "").unwrap();
    add(all, "man: a folder that can't be made", run(&[&"man", &"file/man"]));
}

const IDL: &str = "import \"oaidl.idl\";\n\
    [object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)]\n\
    interface IMeter : IUnknown {\n    HRESULT IsDone([out, retval] VARIANT_BOOL *done);\n}\n";

fn interfaces(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| {
        command(&fixture, &[&[&"idl" as &dyn AsRef<OsStr>], arguments].concat())
    };
    fs::write(fixture.path().join("a.idl"), IDL).unwrap();
    fs::write(fixture.path().join("bad.idl"), IDL.replace("VARIANT_BOOL", "VARIANT_BOOLE"))
        .unwrap();
    fs::write(fixture.path().join("bad.rs"), "fn 1() {}").unwrap();
    let map = "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
        pub trait Meter { fn read(&self) -> Result<HashMap<u8, u8>>; }\n";
    fs::write(fixture.path().join("map.rs"), map).unwrap();
    add(all, "idl check: a file that does not exist", run(&[&"check", &"missing.idl"]));
    add(all, "idl check: a file with an error", run(&[&"check", &"bad.idl"]));
    add(all, "idl check: a COM layout that differs", run(&[&"check", &"--com", &"a.idl"]));
    let private: [&dyn AsRef<OsStr>; 4] = [&"rust", &"a.idl", &"--private", &"IMetre"];
    add(all, "idl rust: a private interface that does not exist", run(&private));
    add(
        all,
        "idl rust: a flags enum that does not exist",
        run(&[&"rust", &"a.idl", &"--private", &"IMeter", &"--flags", &"Lock"]),
    );
    add(
        all,
        "idl rust: a requested interface that does not exist",
        run(&[&"rust", &"a.idl", &"--only", &"X"]),
    );
    add(
        all,
        "idl rust: an output that can't be written",
        run(&[&"rust", &"a.idl", &"--private", &"IMeter", &"-o", &"missing/a.rs"]),
    );
    add(all, "idl emit: a file that is not Rust", run(&[&"emit", &"bad.rs"]));
    add(all, "idl emit: a type that MIDL can't express", run(&[&"emit", &"map.rs"]));
}

/// Adds the messages of `idl diff`.
fn changes(all: &mut Messages) {
    let fixture = fixture(all);
    let run = |arguments: &[&dyn AsRef<OsStr>]| {
        command(&fixture, &[&[&"idl" as &dyn AsRef<OsStr>, &"diff"], arguments].concat())
    };
    let meter = |method: &str| {
        format!(
            "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
             pub trait Meter {{ {method} }}\n"
        )
    };
    fs::write(fixture.path().join("old.rs"), meter("fn a(&self) -> Result<()>;")).unwrap();
    fs::write(fixture.path().join("gone.rs"), meter("")).unwrap();
    let more = meter("fn a(&self) -> Result<()>; fn b(&self, file: File) -> Result<()>;");
    fs::write(fixture.path().join("more.rs"), more).unwrap();
    add(all, "idl diff: a change that breaks old peers", run(&[&"old.rs", &"gone.rs"]));
    add(all, "idl diff: a change that gives a peer more authority", run(&[&"old.rs", &"more.rs"]));
    add(all, "idl diff: a file that can't be compared", run(&[&"old.rs", &"missing.rs"]));
}
