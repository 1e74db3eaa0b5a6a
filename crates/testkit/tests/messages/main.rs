//! Messages of errors. Each test provokes a group of errors as a user would, and compares their
//! messages with `messages/GROUP.txt`. With `UPDATE_EXPECTED=1`, it rewrites these files instead.
//! If a machine can't provoke an error, the expected message remains.
//!
//! `docs/guide/troubleshooting.md` must have an entry for each message.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

mod activation;
mod calls;
mod connections;
mod growth;
mod guide;
mod handles;
mod streams;

use std::path::{Path, PathBuf};

use syshandle_testkit::Messages;

/// A text that a program chose, which the guide need not explain.
const OWN_TEXT: &str = "a text of the program";

/// Returns an empty group of messages.
fn group(name: &str) -> Messages {
    Messages::new(folder().join(format!("{name}.txt")))
}

/// Returns the folder with the expected messages.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}
