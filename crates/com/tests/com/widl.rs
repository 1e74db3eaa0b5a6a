//! Compares format strings with the output of `widl` for the same interface. `widl` is the IDL
//! compiler of Wine and MinGW, and is independent of this project.
//!
//! `widl` doesn't support `system_handle`. Handles are therefore compared with MIDL's published
//! format strings.

use std::fs;
use std::path::Path;
use std::process::Command;

use syshandle_com::{FormatStrings, HandleForm};

use crate::golden::compiled;
use crate::ndr::Reader;
use crate::values::Values;

const SKIPPED: &str = "skipped: there is no widl with the files of Windows: install mingw-w64-tools \
                       (or wine64-tools) and libwine-dev";

#[test]
fn values_have_the_tables_that_widl_makes() {
    let source = include_str!("values.rs");
    let described = syshandle_idl::rust::describe(syn::parse_str(source).unwrap()).unwrap();
    let idl = syshandle_idl::emit::emit(&described).unwrap();
    let ours = describe(&compiled::<dyn Values>(HandleForm::System).format_strings);
    match widl(&idl, "IValues") {
        Some(theirs) => compare(&theirs, &ours),
        None => println!("{SKIPPED}"),
    }
}

/// Decodes each method's format strings into text.
pub(crate) fn describe(tables: &FormatStrings) -> Vec<String> {
    let reader = Reader { types: &tables.types, procedures: &tables.procedures, count_bytes: 6 };
    reader.methods(&tables.offsets)
}

fn compare(theirs: &[String], ours: &[String]) {
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(ours) {
        for (theirs, ours) in theirs.lines().zip(ours.lines()) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(theirs.lines().count(), ours.lines().count());
    }
}

/// Decodes the format strings that widl generates. Returns `None` if widl isn't installed.
fn widl(idl: &str, interface: &str) -> Option<Vec<String>> {
    let imports = ["/usr/include/wine/wine/windows", "/usr/include/wine/windows"];
    let imports = imports.into_iter().find(|path| Path::new(path).join("oaidl.idl").exists())?;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.idl"), idl).unwrap();
    let names = ["x86_64-w64-mingw32-widl", "widl", "widl-stable"];
    let output = names.into_iter().find_map(|name| {
        let arguments = ["-I", imports, "--win64", "-p", "-Oif", "-o", "a_p.c", "a.idl"];
        Command::new(name).args(arguments).current_dir(folder.path()).output().ok()
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "widl: {said}\n{idl}");
    let text = fs::read_to_string(folder.path().join("a_p.c")).unwrap();
    let types = table(&text, "MIDL_TYPE_FORMAT_STRING __MIDL_TypeFormatString =\n");
    let procedures = table(&text, "MIDL_PROC_FORMAT_STRING __MIDL_ProcFormatString =\n");
    let offsets = numbers(&text, &format!("{interface}_FormatStringOffsetTable[] =\n"));
    let reader = Reader { types: &types, procedures: &procedures, count_bytes: 4 };
    Some(reader.methods(&offsets.iter().map(|(_, offset)| *offset as u16).collect::<Vec<_>>()))
}

/// Parses a table of bytes in C source. Removes the table's leading padding.
fn table(text: &str, head: &str) -> Vec<u8> {
    let bytes = numbers(text, head).into_iter().skip(1);
    let bytes = bytes.flat_map(|(len, number)| number.to_le_bytes()[..len].to_vec());
    bytes.collect()
}

/// Parses a table of numbers in C source. Returns each number with its size in bytes.
fn numbers(text: &str, head: &str) -> Vec<(usize, u32)> {
    // The ` =` in `head` distinguishes the definition from the forward declaration.
    let start = text.find(head).unwrap_or_else(|| panic!("no {head}")) + head.len();
    let body = &text[start..];
    let mut body = body[..body.find("};").unwrap()].to_owned();
    while let Some(comment) = body.find("/*") {
        let end = body[comment..].find("*/").unwrap() + comment + 2;
        body.replace_range(comment..end, " ");
    }
    let words = body.split([',', '{', '}', ' ', '\t', '\n']).filter(|word| !word.is_empty());
    let numbers = words.map(|word| {
        let (len, number) = match word.trim_end_matches(')').split_once('(') {
            Some(("NdrFcShort", number)) => (2, number),
            Some(("NdrFcLong", number)) => (4, number),
            Some((other, _)) => panic!("{other} in a table"),
            None => (1, word),
        };
        let number = match number.strip_prefix("0x") {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => number.parse(),
        };
        (len, number.unwrap())
    });
    numbers.collect()
}
