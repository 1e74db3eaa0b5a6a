//! Tests the output of every command: untrusted text can't control a terminal, and a failed write
//! doesn't stop a command's work.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use sparkle::SPARKLE_FINISHER;
use syshandle_testkit::{Fixture, copy, program};

const COMMAND: &str = env!("CARGO_BIN_EXE_syshandle");
static SPARKLE: LazyLock<PathBuf> = LazyLock::new(|| program("sparkle", "sparkle-server"));

/// A name that sets a terminal's title, clears the screen, reverses the text direction, and
/// contains a line that looks like genuine output.
const EVIL: &str = "a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}1m\u{202e}\nregistered FORGED {0}";

const IDL: &str = "import \"unknwn.idl\"; [uuid(1284c788-6978-43d5-9a02-414901a2ec75), object] \
                   interface IOne : IUnknown { HRESULT one(); }";

/// Creates a folder that contains a copy of the sample's server with this name.
fn server_named(fixture: &Fixture, folder: &str, name: &str) -> PathBuf {
    let folder = fixture.path().join(folder);
    fs::create_dir(&folder).unwrap();
    copy(&SPARKLE, &folder.join(name));
    folder
}

fn command(fixture: &Fixture, arguments: &[&OsStr]) -> Command {
    let mut command = fixture.command(COMMAND.as_ref());
    command.args(arguments).current_dir(fixture.path()).stdin(Stdio::null());
    command
}

fn arguments<'a>(arguments: &'a [&'a dyn AsRef<OsStr>]) -> Vec<&'a OsStr> {
    arguments.iter().map(|argument| argument.as_ref()).collect()
}

/// Asserts that an output contains no characters that control a terminal, and no forged line.
#[track_caller]
fn check_harmless(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let harmless =
        |c: char| c == '\n' || (!c.is_control() && !('\u{200b}'..='\u{206f}').contains(&c));
    assert!(text.chars().all(harmless), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("registered FORGED")), "{text:?}");
    text
}

#[test]
fn names_of_files_and_folders_control_no_terminal_and_forge_no_line() {
    let fixture = Fixture::new();
    let folder = server_named(&fixture, EVIL, EVIL);
    let missing = fixture.path().join(format!("missing{EVIL}"));
    let idl = fixture.path().join(format!("{EVIL}.idl"));
    fs::write(
        &idl,
        format!("typedef {EVIL} x;\n{IDL}\n/* {EVIL} */ int x = \"{EVIL}\"; // {EVIL}"),
    )
    .unwrap();
    let rust = fixture.path().join(format!("{EVIL}.rs"));
    fs::write(&rust, format!("#[interface(iid = \"{EVIL}\")] trait T {{ fn f(&self); }}")).unwrap();
    let no_rust = fixture.path().join(format!("{EVIL}.2.rs"));
    fs::write(&no_rust, format!("fn {EVIL} {{")).unwrap();
    let option: OsString = format!("--{EVIL}").into();
    let long: OsString = format!("--accept={EVIL}").into();
    let all: [&[&dyn AsRef<OsStr>]; 20] = [
        &[&"register", &folder],
        &[&"register", &"--path", &folder],
        &[&"register", &"--systemd", &folder],
        &[&"list"],
        &[&"register", &missing],
        &[&"register", &"--env", &EVIL],
        &[&"clean", &missing],
        &[&"attack", &EVIL],
        &[&"attack", &"SPARKLE_FINISHER", &"--only", &EVIL],
        &[&"idl", &"check", &idl, &missing],
        &[&"idl", &"rust", &idl],
        &[&"idl", &"rust", &idl, &"-o", &missing.join("x")],
        &[&"idl", &"emit", &rust],
        &[&"idl", &"emit", &no_rust],
        &[&"idl", &"diff", &no_rust, &missing],
        &[&"idl", &"diff", &rust, &idl, &long],
        &[&option],
        &[&"idl", &option, &idl],
        &[&"list", &EVIL],
        &[&"clean", &folder],
    ];
    let mut served = String::new();
    for all in all {
        let output = command(&fixture, &arguments(all)).output().unwrap();
        let text = check_harmless(&output);
        assert!(!text.contains("panicked"), "{text}");
        served += &text;
    }
    assert!(served.contains(r"a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}1m\u{202e}\nregistered FORGED"));
    assert!(served.contains("registered SPARKLE_FINISHER"), "{served}");
}

#[test]
fn text_of_a_registration_is_escaped_in_output() {
    let fixture = Fixture::new();
    let folder = server_named(&fixture, "bin", "server");
    let registered = command(&fixture, &arguments(&[&"register", &folder])).output().unwrap();
    assert!(registered.status.success());
    let file = fixture.data().join("syshandle/programs/server.toml");
    let text = fs::read_to_string(&file).unwrap();
    let toml: String = EVIL.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    for (from, to) in [
        ("name = \"SPARKLE_FINISHER\"", format!("name = \"{toml}\"")),
        ("users = \"same\"", format!("users = \"{toml}\"")),
        ("users = \"same\"", format!("\"{toml}\" = 1")),
        ("program = \"", format!("program = \"/{toml}")),
        ("program = \"/", format!("program = \"{toml}")),
        ("users = \"same\"", format!("socket = \"{toml}\"")),
        ("users = \"same\"", format!("socket = \"/{toml}\"")),
        ("users = \"same\"", format!("environment = {{ \"{toml}=\" = \"\" }}")),
        ("users = \"same\"", EVIL.to_owned()),
        ("clsid = \"", format!("clsid = \"{toml}")),
    ] {
        let edited = text.replacen(from, &to, 1);
        assert_ne!(edited, text, "{from}");
        fs::write(&file, edited).unwrap();
        let all: [&[&dyn AsRef<OsStr>]; 4] = [
            &[&"list"],
            &[&"register", &folder],
            &[&"attack", &"ea27c73a-48c2-4714-9d20-a9d2c4f6aed3", &"--only", &"none"],
            &[&"attack", &"SPARKLE_FINISHER", &"--only", &"none"],
        ];
        for all in all {
            check_harmless(&command(&fixture, &arguments(all)).output().unwrap());
        }
        let error = fixture.registry().find(SPARKLE_FINISHER.clsid());
        if let Err(error) = error {
            let shown = format!("{error} {error:#}");
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert!(!format!("{error:?}").contains('\u{1b}'), "{error:?}");
        }
    }
}

#[test]
fn text_of_a_program_mark_is_escaped_in_output() {
    let fixture = Fixture::new();
    let folder = server_named(&fixture, "bin", "server");
    let server = folder.join("server");
    let program = fs::read(&server).unwrap();
    // The mark has a checksum, so a program whose mark has been modified is not registered.
    let changed: Vec<u8> = program
        .windows(16)
        .zip(&program)
        .map(|(window, byte)| if window == b"SPARKLE_FINISHER" { 0x1b } else { *byte })
        .chain(program[program.len() - 15..].iter().copied())
        .collect();
    fs::write(&server, changed).unwrap();
    let output = command(&fixture, &arguments(&[&"register", &folder])).output().unwrap();
    let text = check_harmless(&output);
    assert!(text.contains("contains no program that serves a class"), "{text}");
}

/// Returns the commands that write to standard output. They work on a folder that contains a server
/// and two `.idl` files.
fn commands_with_output(fixture: &Fixture) -> Vec<Vec<OsString>> {
    let folder = server_named(fixture, "bin", "server");
    let idl = fixture.path().join("one.idl");
    fs::write(&idl, IDL).unwrap();
    let rust = fixture.path().join("one.rs");
    let written = command(fixture, &arguments(&[&"idl", &"rust", &idl])).output().unwrap();
    assert!(written.status.success());
    fs::write(&rust, written.stdout).unwrap();
    let all: [&[&dyn AsRef<OsStr>]; 11] = [
        &[&"register", &"--systemd", &folder],
        &[&"register", &folder],
        &[&"list"],
        &[&"attack", &"SPARKLE_FINISHER", &"--only", &"truncated"],
        &[&"idl", &"check", &idl],
        &[&"idl", &"rust", &idl],
        &[&"idl", &"emit", &rust],
        &[&"idl", &"diff", &idl, &rust],
        &[&"clean", &folder],
        &[&"--help"],
        &[&"--version"],
    ];
    all.iter().map(|all| arguments(all).into_iter().map(OsStr::to_owned).collect()).collect()
}

/// Runs all commands with a standard output on which writes fail.
fn run_with(fixture: &Fixture, output: impl Fn() -> Stdio) -> Vec<(String, Output)> {
    let mut all = Vec::new();
    for words in commands_with_output(fixture) {
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let mut command = command(fixture, &words);
        let ran = command.stdout(output()).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(!error.contains("panicked"), "{words:?}: {error}");
        assert_eq!(ran.status.signal(), None, "{words:?}");
        // The command has completed its work although the write failed.
        let is_registered = fixture.registry().find(SPARKLE_FINISHER.clsid()).is_ok();
        match words[0].to_str() {
            Some("register") => assert!(is_registered, "{words:?}"),
            Some("clean") => assert!(!is_registered, "{words:?}"),
            _ => {}
        }
        all.push((words.join(OsStr::new(" ")).to_string_lossy().into_owned(), ran));
    }
    all
}

#[test]
fn a_command_with_a_closed_output_completes_without_a_message() {
    let fixture = Fixture::new();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer.into()
    };
    for (words, output) in run_with(&fixture, closed) {
        // `idl diff` writes nothing for two equal interfaces. For the other commands, this is the
        // exit code that a shell reports for a program that SIGPIPE has ended.
        let expected = if words.starts_with("idl diff") { 0 } else { 141 };
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{words}: {error}");
        assert!(error.is_empty(), "{words}: {error}");
    }
}

#[test]
fn a_command_with_a_full_output_completes_and_reports_the_failed_write() {
    let fixture = Fixture::new();
    for (words, output) in run_with(&fixture, || File::create("/dev/full").unwrap().into()) {
        let error = String::from_utf8_lossy(&output.stderr);
        if words.starts_with("idl diff") {
            assert!(output.status.success(), "{words}: {error}");
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{words}: {error}");
        assert!(error.contains("the standard output can't be written: No space left"), "{error}");
        assert!(
            error.contains("the command succeeded, but its output is incomplete"),
            "{words}: {error}"
        );
    }
}

#[test]
fn a_failed_command_has_a_nonzero_exit_code_with_any_output() {
    let fixture = Fixture::new();
    let missing = fixture.path().join("missing");
    let all: [&[&dyn AsRef<OsStr>]; 4] = [
        &[&"register", &missing],
        &[&"clean", &missing],
        &[&"idl", &"check", &missing],
        &[&"attack", &"NONE"],
    ];
    let full = || File::create("/dev/full").unwrap();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for all in all {
        let all = arguments(all);
        let outputs: [(Stdio, Stdio); 3] = [
            (full().into(), full().into()),
            (closed().into(), closed().into()),
            (Stdio::null(), full().into()),
        ];
        for (out, error) in outputs {
            let status = command(&fixture, &all).stdout(out).stderr(error).status().unwrap();
            assert_eq!(status.code(), Some(1), "{all:?}");
        }
    }
    let usage = command(&fixture, &arguments(&[&"nothing"])).stderr(full()).status().unwrap();
    assert_eq!(usage.code(), Some(2));
}

#[test]
fn generated_text_is_escaped_on_a_terminal_and_exact_elsewhere() {
    let fixture = Fixture::new();
    let idl = fixture.path().join("one.idl");
    // The help string becomes the documentation of the trait.
    let help = "helpstring(\"\u{1b}]0;title\u{7}\"), ";
    fs::write(&idl, IDL.replace("[uuid", &format!("[{help}uuid"))).unwrap();
    let output = command(&fixture, &arguments(&[&"idl", &"rust", &idl])).output().unwrap();
    let file = fixture.path().join("one.rs");
    let written = command(&fixture, &arguments(&[&"idl", &"rust", &idl, &"-o", &file])).status();
    assert!(written.unwrap().success());
    assert_eq!(fs::read(&file).unwrap(), output.stdout);

    // `script` runs a command in a terminal.
    if !Path::new("/usr/bin/script").exists() {
        return println!("skipped: the terminal: there is no /usr/bin/script");
    }
    let mut terminal = fixture.command("/usr/bin/script".as_ref());
    terminal.args(["-qec", &format!("'{COMMAND}' idl rust '{}'", idl.display()), "/dev/null"]);
    let shown = terminal.stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("trait One"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    std::io::stdout().flush().unwrap();
}
