//! Parses arbitrary text as an `.idl` file.

use syshandle_idl::diff::{Change, diff};
use syshandle_idl::emit::emit;
use syshandle_idl::{Options, check_text, describe_text};

/// Checks one input. The worst permitted outcome is a list of errors. Time and memory must be
/// proportional to the size of the text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let report = check_text("fuzz.idl", text, &Options::default());
    let _ = report.to_string();
}

/// Converts a text to Rust. The result must be valid Rust. If it can be converted back to an `.idl`
/// file, that file must have the same meaning.
///
/// # Panics
/// Panics if one of these conditions is violated.
pub fn run_rust(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lowered = describe_text("fuzz.idl", text, &Options::default());
    let _ = lowered.report.to_string();
    let rust = lowered.rust();
    if let Err(error) = syn::parse_file(&rust) {
        panic!("not valid Rust: {error}\n{rust}");
    }
    if let Ok(again) = emit(&lowered.description) {
        let back = describe_text("again.idl", &again, &Options::default());
        assert!(back.report.is_success(), "{}\n{again}", back.report);
        let changes = diff(&lowered.description, &back.description);
        // `emit` writes the methods of base interfaces into the derived interface, which then has
        // another base. So changes of the base are ignored.
        let breaks = |change: &&Change| !change.is_compatible && !change.name.ends_with("::base");
        let broken = changes.iter().find(breaks);
        assert!(broken.is_none(), "{broken:#?}\n{rust}\n{again}");
    }
}
