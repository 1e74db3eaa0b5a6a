//! Checks the boundaries between the modules of a crate, and between crates.
//!
//! The checks read the source. They count every path in product code, on every platform, and follow
//! imports, re-exports and aliases to the module that defines the named item. They do not see what
//! procedural macros generate. `fixtures` has an evasion in each file, with `//~` in the lines that
//! must be found.

mod cfg;
mod check;
mod cycles;
mod resolve;
mod rules;
mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use check::{Boundary, Crate, Never, Violation, closure, dependencies};
use rules::{BOUNDARIES, CYCLES, DEPENDENCIES, Depends};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// Returns the crates by the names of their folders.
fn crates() -> &'static BTreeMap<String, Crate> {
    static CRATES: OnceLock<BTreeMap<String, Crate>> = OnceLock::new();
    CRATES.get_or_init(|| {
        let entries = fs::read_dir(workspace().join("crates")).expect("a folder of crates");
        let folders = entries.map(|entry| entry.expect("a readable folder"));
        let folders = folders.filter(|entry| entry.path().join("Cargo.toml").is_file());
        let read = folders.map(|entry| {
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            (name, Crate::read(&entry.path().join("src")))
        });
        read.collect()
    })
}

/// Writes violations one a line, with paths relative to the workspace.
fn list<'v>(violations: impl IntoIterator<Item = &'v Violation>) -> String {
    let lines = violations.into_iter().map(|violation| format!("\n{violation}"));
    lines.collect::<String>().replace(&format!("{}/", workspace().display()), "")
}

#[test]
fn modules_keep_their_boundaries() {
    for (name, boundaries) in BOUNDARIES {
        let read = &crates()[*name];
        let violations = boundaries.iter().flat_map(|boundary| read.check(boundary));
        let violations: Vec<_> = violations.collect();
        assert!(violations.is_empty(), "{}", list(&violations));
    }
}

#[test]
fn every_module_can_be_read() {
    let violations: BTreeSet<_> = crates().values().flat_map(|read| &read.unreadable).collect();
    assert!(violations.is_empty(), "{}", list(violations));
}

#[test]
fn cycles_of_imports_do_not_grow() {
    let known: BTreeSet<_> = CYCLES.iter().map(|(name, _)| *name).collect();
    let names = crates().keys().map(String::as_str).collect();
    assert_eq!(known, names, "every crate has a row in `CYCLES`");
    let mut failures = String::new();
    for (name, most) in CYCLES {
        let cycles = crates()[*name].cycles();
        let largest = cycles.first().map_or(1, BTreeSet::len);
        if largest == *most {
            continue;
        }
        failures += &format!("\n{name}: {largest} files import each other; the table has {most}");
        for cycle in cycles {
            let files: Vec<_> = cycle.iter().map(|file| file.display().to_string()).collect();
            failures += &format!("\n  {}: {}", files.len(), files.join(" "));
        }
    }
    let failures = failures.replace(&format!("{}/crates/", workspace().display()), "");
    assert!(failures.is_empty(), "a number in `CYCLES` may only fall:{failures}");
}

#[test]
fn crates_depend_only_on_crates_below_them() {
    let failures = forbidden(&workspace(), DEPENDENCIES);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns the dependencies that a rule forbids, and what else is wrong with the rules.
fn forbidden(workspace: &Path, rules: &[Depends<'_>]) -> Vec<String> {
    let all = dependencies(workspace);
    let mut failures = Vec::new();
    for rule in rules {
        let named = rule.crates.iter().chain(rule.never).chain(rule.only.unwrap_or_default());
        for name in named.filter(|name| !all.contains_key(**name)) {
            failures.push(format!("a rule names the crate {name}, which doesn't exist"));
        }
        for name in rule.crates {
            let direct = all.get(*name).into_iter().flat_map(|one| &one.dev);
            let tests: BTreeSet<_> = direct.map(String::as_str).collect();
            for other in closure(name, &all) {
                let is_allowed = rule.only.is_none_or(|only| only.contains(&&*other));
                if rule.never.contains(&&*other) || !is_allowed {
                    failures.push(format!("{name} depends on {other}: {}", rule.because));
                }
            }
            for other in tests.iter().filter(|other| rule.never.contains(other)) {
                if !rule.tests_of.contains(name) {
                    failures.push(format!("the tests of {name} need {other}: {}", rule.because));
                }
            }
            if rule.tests_of.contains(name) && !rule.never.iter().any(|one| tests.contains(one)) {
                failures.push(format!("the tests of {name} keep the rule: remove the exception"));
            }
        }
    }
    failures
}

const CLIENT: Boundary<'_> = Boundary {
    from: &["client"],
    never: Never::Imports(&["server"]),
    because: "for the test",
    exceptions: &[],
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boundaries/fixtures")
}

/// Returns the lines of files that have a mark at their end.
fn marked(path: &Path) -> BTreeSet<(PathBuf, usize)> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder of fixtures");
        return entries.flat_map(|entry| marked(&entry.expect("a file").path())).collect();
    }
    let text = fs::read_to_string(path).expect("a fixture");
    let lines = text.lines().zip(1..).filter(|(line, _)| line.ends_with("//~"));
    lines.map(|(_, number)| (path.to_owned(), number)).collect()
}

#[test]
fn every_evasion_is_found_in_its_line() {
    let mut failures = String::new();
    let mut count = 0;
    for entry in fs::read_dir(fixtures()).expect("a folder of fixtures") {
        let path = entry.expect("a fixture").path();
        if path.ends_with("manifests") || path.ends_with("cycle") {
            continue;
        }
        let read = Crate::read(&path);
        let found: BTreeSet<_> = read.check(&CLIENT).union(&read.unreadable).cloned().collect();
        let lines: BTreeSet<_> = found.iter().map(|one| (one.file.clone(), one.line)).collect();
        let marked = marked(&path);
        assert_eq!(marked.is_empty(), path.ends_with("clean.rs"), "{}", path.display());
        for (file, line) in marked.symmetric_difference(&lines) {
            let what = if lines.contains(&(file.clone(), *line)) { "not marked" } else { "missed" };
            failures += &format!("\n{}:{line}: {what}", file.display());
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(count > 30, "{count} fixtures");
}

#[test]
fn a_message_names_the_file_the_line_and_the_reason() {
    let found = Crate::read(&fixtures().join("re_export.rs")).check(&CLIENT);
    let text = list(&found);
    assert_eq!(
        text,
        "\nxtask/tests/boundaries/fixtures/re_export.rs:8: `client` imports `server` by \
         `crate::other::Other`: for the test"
    );
}

#[test]
fn re_exports_of_the_root_are_found_by_themselves() {
    let boundary = Boundary { never: Never::ImportsThroughRoot(&["server"]), ..CLIENT };
    let check = |name: &str| Crate::read(&fixtures().join(name)).check(&boundary).len();
    assert_eq!(check("re_export_of_root.rs"), 1);
    assert_eq!(check("glob_of_root.rs"), 1);
    assert_eq!(check("group.rs"), 0);
}

#[test]
fn an_exception_must_be_necessary() {
    let excepted = Boundary { exceptions: &[("client", "server")], ..CLIENT };
    assert_eq!(Crate::read(&fixtures().join("glob.rs")).check(&excepted), BTreeSet::new());
    let found = Crate::read(&fixtures().join("clean.rs")).check(&excepted);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(list(&found).contains("remove the exception"), "{found:?}");
}

#[test]
fn a_rule_about_a_module_that_is_gone_is_noticed() {
    let boundary = Boundary { from: &["client", "customer"], ..CLIENT };
    let found = Crate::read(&fixtures().join("clean.rs")).check(&boundary);
    assert!(list(&found).contains("`customer`, which doesn't exist"), "{found:?}");
}

#[test]
fn a_cycle_is_found_by_its_files() {
    let cycles = Crate::read(&fixtures().join("cycle")).cycles();
    let files = ["one.rs", "three.rs", "two.rs"].map(|name| fixtures().join("cycle").join(name));
    assert_eq!(cycles, [BTreeSet::from(files)]);
    assert!(Crate::read(&fixtures().join("clean.rs")).cycles().is_empty());
}

#[test]
fn dependencies_are_found_in_every_form() {
    let rule = Depends {
        crates: &["top"],
        never: &["bottom"],
        only: None,
        tests_of: &[],
        because: "for the test",
    };
    let workspace = fixtures().join("manifests");
    let check = |rule: Depends<'_>| forbidden(&workspace, &[rule]);
    assert_eq!(check(rule), ["top depends on bottom: for the test"]);
    // Only for a platform, with another name, and through another crate.
    let direct = |name| check(Depends { crates: &[name], ..rule }).len();
    assert_eq!(["middle", "renamed", "shared", "built"].map(direct), [1; 4]);
    assert_eq!(direct("bottom"), 0);
    assert_eq!(
        check(Depends { crates: &["tested"], ..rule }),
        ["the tests of tested need bottom: for the test"]
    );
    let tests_of = &["tested"][..];
    assert_eq!(check(Depends { crates: &["tested"], tests_of, ..rule }), [""; 0]);
    let unused = check(Depends { crates: &["bottom"], tests_of: &["bottom"], ..rule });
    assert_eq!(unused, ["the tests of bottom keep the rule: remove the exception"]);
    let only = Depends { crates: &["top"], never: &[], only: Some(&["middle"]), ..rule };
    assert_eq!(check(only), ["top depends on bottom: for the test"]);
    assert_eq!(check(Depends { never: &["gone"], ..rule }).len(), 1);
}
