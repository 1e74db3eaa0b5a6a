//! Compares the Rust source for each `lowering/NAME.idl` with `NAME.rs`. If something can't be
//! expressed in Rust, also compares the report with `NAME.stderr`. `UPDATE_EXPECTED=1` rewrites
//! these files.

use std::fs;
use std::path::Path;

use syshandle_idl::{Options, describe};

#[test]
fn each_file_matches_its_expected_rust_and_report() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    // The path is relative to the crate's directory, in which tests run, so that messages are the
    // same on every machine.
    let entries = Path::new("tests/lowering").read_dir().unwrap();
    let mut inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "idl"));
    inputs.sort();
    assert!(inputs.len() >= 3);
    for input in inputs {
        let lowered = describe(std::slice::from_ref(&input), &Options::default());
        for (extension, text) in [("rs", lowered.rust()), ("stderr", lowered.report.to_string())] {
            let expected = input.with_extension(extension);
            if update {
                match text.is_empty() {
                    true => drop(fs::remove_file(&expected)),
                    false => fs::write(&expected, &text).unwrap(),
                }
            }
            let expected = fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(text, expected, "{}", input.display());
        }
        syn::parse_file(&lowered.rust()).unwrap();
    }
}
