//! What Rust comes of `.idl` files, as a whole: each `lowering/NAME.idl` against `NAME.rs` and,
//! where something has no Rust, `NAME.stderr`. With `UPDATE_EXPECTED=1` these are written anew.

use std::fs;
use std::path::Path;

use syshandle_idl::{Options, describe};

#[test]
fn each_file_becomes_what_is_expected() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    // The folder by a path that is the same everywhere: tests run in the crate's.
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
