//! Any text as an `.idl` file: errors at worst, in time and memory that the text's length bounds.

use syshandle_idl::{Options, check_text};

/// Feeds the input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let report = check_text("fuzz.idl", text, &Options::default());
    let _ = report.to_string();
}
