//! Tests that completions and manual pages include every subcommand.
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::process::Command;

/// Runs the command and returns its output.
fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_syshandle")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the subcommands that a command lists in its help.
fn subcommands(command: &[&str]) -> Vec<String> {
    let help = run(&[command, &["--help"]].concat());
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    // The continuation line of a description is indented further than a subcommand's name.
    let names =
        list.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn completions_name_every_subcommand() {
    let names = [subcommands(&[]), subcommands(&["idl"])].concat();
    assert!(names.len() > 7, "{names:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        for name in &names {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
    }
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    assert_eq!(run(&["man", pages.to_str().unwrap()]), "");
    let main = fs::read_to_string(pages.join("syshandle.1")).unwrap();
    for name in subcommands(&[]) {
        assert!(main.contains(&format!("syshandle\\-{name}(1)")), "{name}");
        let page = fs::read_to_string(pages.join(format!("syshandle-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    for name in subcommands(&["idl"]) {
        assert!(pages.join(format!("syshandle-idl-{name}.1")).exists(), "{name}");
    }
}
