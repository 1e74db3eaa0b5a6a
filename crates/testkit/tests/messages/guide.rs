//! The chapter of the guide that explains the messages.

use std::path::Path;

use syshandle_testkit::parse_messages;

use crate::{OWN_TEXT, folder};

/// Each table in the chapter starts with the stable part of a message, in which `…` stands for any
/// text. The first entry that matches a message must explain it.
#[test]
fn the_guide_has_an_entry_for_each_message() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/troubleshooting.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let entries: Vec<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(entry, _)| entry)
        .collect();
    let mut used = vec![false; entries.len()];
    let mut missing = String::new();
    for group in GROUPS.into_iter().chain([OF_THE_COMMAND]) {
        let text = std::fs::read_to_string(folder().join(format!("{group}.txt"))).unwrap();
        for (situation, text) in parse_messages(&text) {
            let message = text.lines().next().unwrap().strip_prefix("display: ").unwrap();
            if message.contains(OWN_TEXT) {
                continue;
            }
            let found = entries.iter().position(|entry| matches(message, entry));
            match found {
                Some(found) => used[found] = true,
                None => missing.push_str(&format!("{group}: {situation}: {message}\n")),
            }
        }
    }
    let unused: Vec<_> = entries.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(missing.is_empty(), "no entry:\n{missing}");
    assert!(unused.is_empty(), "entries that match no message: {unused:?}");
}

#[test]
fn the_messages_include_every_kind_of_error() {
    let text: String = GROUPS
        .iter()
        .map(|group| std::fs::read_to_string(folder().join(format!("{group}.txt"))).unwrap())
        .collect();
    let is_missing =
        |kind: &&str| !text.contains(&format!("({kind}; ")) && !text.contains(&format!("({kind})"));
    let missing: Vec<_> = KINDS.into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "error kinds without a message: {missing:?}");
}

/// The groups of errors that the runtime returns.
const GROUPS: [&str; 5] = ["calls", "connections", "activation", "handles", "streams"];

/// The messages of the `syshandle` command, which the tests of its crate provoke.
const OF_THE_COMMAND: &str = "../../../cli/tests/messages/commands";

const KINDS: [&str; 27] = [
    "NotRegistered",
    "BadRegistration",
    "Insecure",
    "NoRuntimeDirectory",
    "StartFailed",
    "ActivationDenied",
    "AlreadyRunning",
    "NotAllowed",
    "NoSuchClass",
    "NoSuchInterface",
    "NoSuchMethod",
    "Incompatible",
    "WrongHandle",
    "Unproven",
    "Malformed",
    "HandlesLost",
    "TooLarge",
    "Busy",
    "TimedOut",
    "Cancelled",
    "Disconnected",
    "OtherProcess",
    "Violation",
    "Panicked",
    "Failed",
    "Aborted",
    "System",
];

/// Returns whether a message contains all parts of an entry in order.
fn matches(message: &str, entry: &str) -> bool {
    let mut rest = message;
    entry.split('…').map(str::trim).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}
