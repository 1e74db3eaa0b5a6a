//! Checks that the tests named in `docs/promises.md` and `SECURITY.md` exist.

use std::fs;
use std::path::PathBuf;

/// Minimum number of promises.
const PROMISES: usize = 13;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the tests that a text names in the form "`file`: `name`".
fn named(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for part in text.split('`').collect::<Vec<_>>().windows(3) {
        match part {
            [file, ": ", name] if file.ends_with(".rs") => found.push((*file, *name)),
            _ => {}
        }
    }
    found
}

fn exists(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(root().join(file)).unwrap_or_default();
    // The function must exist, and one of the lines just before it must mark it as a test.
    let Some(place) = text.find(&format!("fn {name}(")) else { return false };
    let before: Vec<_> = text[..place].lines().rev().take(4).collect();
    before.iter().any(|line| line.trim() == "#[test]" || line.contains("::test]"))
}

#[test]
fn every_promise_has_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let sections: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert!(sections.len() >= PROMISES, "there are fewer promises than expected");
    let mut missing = Vec::new();
    for (place, section) in sections.iter().enumerate() {
        let number = section.split('.').next().unwrap();
        assert_eq!(number, (place + 1).to_string(), "{section}");
        let tests = named(section);
        assert!(!tests.is_empty(), "promise {number} has no test");
        missing.extend(tests.into_iter().filter(|(file, name)| !exists(file, name)));
    }
    assert_eq!(missing, [], "tests that aren't there");
}

#[test]
fn security_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let tests = named(&text);
    assert!(tests.len() >= 4, "{tests:?}");
    let missing: Vec<_> = tests.iter().filter(|(file, name)| !exists(file, name)).collect();
    assert!(missing.is_empty(), "tests that aren't there: {missing:?}");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert!(!exists("crates/fault-injection/tests/promises.rs", "no_such_test"));
    assert!(!exists("no/such/file.rs", "every_promise_has_tests_that_exist"));
    assert!(exists(
        "crates/fault-injection/tests/promises.rs",
        "every_promise_has_tests_that_exist"
    ));
    assert_eq!(named("- `a.rs`: `b`, `c`: `d`"), [("a.rs", "b")]);
}
