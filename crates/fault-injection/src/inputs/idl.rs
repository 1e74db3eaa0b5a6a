//! Any text as an `.idl` file. The worst permitted outcome are errors, in time and memory
//! proportional to the text.

use syshandle_idl::{Options, check_text};

/// Checks the input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let report = check_text("fuzz.idl", text, &Options::default());
    let _ = report.to_string();
}
