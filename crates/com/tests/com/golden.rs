//! Byte-for-byte tests: compares format strings with those that MIDL 8 generates (published for the
//! sample's interface), and with golden files of the test interfaces.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use syshandle::object::Interface;
use syshandle_com::{CompiledInterface, HandleForm};

use crate::traits::{Handles, Objects, Opaque, SparkleFinisher, Texts};
use crate::values::Values;
use crate::widl::describe;

/// Builds the format strings of an interface.
pub(crate) fn compiled<I: Interface + ?Sized>(form: HandleForm) -> CompiledInterface {
    CompiledInterface::new(I::DESCRIPTION, form).unwrap()
}

/// Parses bytes in hexadecimal notation: `3c 00`.
fn bytes(text: &str) -> Vec<u8> {
    let digits = text.replace([' ', '|', '\n'], "");
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_sample_has_the_types_that_midl_makes() {
    let compiled = compiled::<dyn SparkleFinisher>(HandleForm::System);
    let published = "0000 | 3c 00 00000000 | 3c 02 00000000 | 11 04 f8ff | 00";
    assert_eq!(compiled.format_strings.types, bytes(published));
    assert_eq!(compiled.format_strings.types.len(), 19);
}

#[test]
fn the_sample_has_the_procedure_that_midl_makes() {
    let compiled = compiled::<dyn SparkleFinisher>(HandleForm::System);
    let published = "33 6c 00000000 0300 2800 0000 0800 47 04 0a 01 0000 0000 0000 0000
        | 8b00 0800 0200 | 8b00 1000 0800 | 1321 1800 0800 | 7000 2000 08 00 | 00";
    assert_eq!(compiled.format_strings.procedures, bytes(published));
    assert_eq!(compiled.format_strings.procedures.len(), 51);
    assert_eq!(compiled.format_strings.offsets, [0]);
}

#[test]
fn under_wine_handles_are_brought_by_routines() {
    let compiled = compiled::<dyn SparkleFinisher>(HandleForm::UserMarshal);
    let types = "0000 | 0b 5c | b4 07 0000 0800 0800 f6ff | b4 07 0200 0800 0800 ecff
        | 11 04 f4ff | 00";
    assert_eq!(compiled.format_strings.types, bytes(types));
    // The procedure strings differ only in the offsets of types.
    let system = crate::golden::compiled::<dyn SparkleFinisher>(HandleForm::System);
    assert_eq!(compiled.format_strings.procedures.len(), system.format_strings.procedures.len());
    assert_eq!(compiled.format_strings.procedures[..26], system.format_strings.procedures[..26]);
}

/// Checks arrays of handles against MIDL's output for `[in, size_is(n), system_handle(sh_file)]
/// HANDLE *` and `[out, size_is(, *n), system_handle(sh_file)] HANDLE **`.
#[test]
fn arrays_of_handles_match_midl() {
    let compiled = compiled::<dyn Handles>(HandleForm::System);
    let types = &compiled.format_strings.types;
    let place = |wanted: &str| {
        let wanted = bytes(wanted);
        let found = types.windows(wanted.len()).position(|window| window == wanted);
        found.unwrap_or_else(|| panic!("no {wanted:02x?} in {types:02x?}"))
    };
    place("21 00 0000 | 29 00 0800 0100 | ffffffff 0000 | 4c 00");
    place("11 0c 08 5c");
    place("11 14 0200 | 13 20 0200 | 21 00 0000 | 29 54 2800 0100 | ffffffff 0000 | 4c 00");
}

/// Checks arrays of strings against MIDL's output for `[in, size_is(n), string] LPWSTR *` and
/// `[out, size_is(, *n), string] LPWSTR **`.
#[test]
fn arrays_of_strings_match_midl() {
    let compiled = compiled::<dyn Texts>(HandleForm::System);
    let published = "0000
        | 11 00 0200 | 21 03 0000 | 29 00 0800 0100 | ffffffff 0000 | 12 08 25 5c 5c 5b
        | 11 0c 08 5c
        | 11 14 0200 | 13 20 0200 | 21 03 0000 | 29 54 1800 0100 | ffffffff 0000 | 12 08 25 5c 5c 5b";
    let published = bytes(published);
    assert_eq!(compiled.format_strings.types[..published.len()], published);
}

#[test]
fn stub_constants_match_midl() {
    use syshandle_com::stub::*;
    assert_eq!((CHECK_BOUNDS, VERSION, MIDL_VERSION), (1, 0xa0000, 0x0801_0274));
    assert_eq!((FLAGS, TABLE_VERSION), (1, 2));
}

/// Compares the format strings of all test interfaces with a golden file, which contains them as
/// bytes and in readable form.
#[test]
fn tables_match_the_golden_file() {
    let mut text = String::new();
    for form in [HandleForm::System, HandleForm::UserMarshal] {
        let all = [
            compiled::<dyn SparkleFinisher>(form),
            compiled::<dyn Values>(form),
            compiled::<dyn Texts>(form),
            compiled::<dyn Handles>(form),
            compiled::<dyn Opaque>(form),
            compiled::<dyn Objects>(form),
        ];
        for compiled in all {
            write(&mut text, &compiled, form);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tables.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    assert!(text == golden, "the tables changed: see with UPDATE_EXPECTED=1 and `git diff`");
}

fn write(text: &mut String, compiled: &CompiledInterface, form: HandleForm) {
    let tables = &compiled.format_strings;
    writeln!(text, "# {} ({form:?})", compiled.name).unwrap();
    for (method, tree) in compiled.methods.iter().zip(describe(tables)) {
        let opaque = if method.is_opaque() { " (opaque)" } else { "" };
        writeln!(text, "{}{opaque}", method.name()).unwrap();
        if let Some(why) = method.unsupported() {
            writeln!(text, "    missing: {why}").unwrap();
        }
        tree.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
    }
    for (name, bytes) in [("types", &tables.types), ("procedures", &tables.procedures)] {
        writeln!(text, "{name}, {} bytes", bytes.len()).unwrap();
        for line in bytes.chunks(16) {
            let line: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "    {}", line.join(" ")).unwrap();
        }
    }
    text.push('\n');
}
