//! Tests the errors in traits and their positions: compares the errors for each `traits/NAME.rs`
//! with `traits/NAME.txt`. `UPDATE_EXPECTED=1 cargo test -p syshandle-model --test traits` rewrites
//! the `.txt` files.

#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use syn::{Item, Meta};

#[test]
fn every_mistake_is_reported_at_its_token_with_a_remedy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traits");
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    assert!(!files.is_empty());
    for path in files {
        let told = mistakes(&fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &told).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap();
        assert_eq!(told, expected, "{}", path.display());
    }
}

/// Formats all errors in the interfaces of a file like a compiler.
fn mistakes(source: &str) -> String {
    let mut told = String::new();
    for item in syn::parse_file(source).unwrap().items {
        let Item::Trait(mut item) = item else { continue };
        let attribute =
            item.attrs.iter().position(|attribute| attribute.path().is_ident("interface"));
        let arguments = match item.attrs.remove(attribute.unwrap()).meta {
            Meta::List(list) => list.tokens,
            _ => proc_macro2::TokenStream::new(),
        };
        match syshandle_model::traits::interface(arguments, item) {
            Ok((interface, _)) => {
                writeln!(told, "{}: no mistake\n", interface.name).unwrap();
            }
            Err(errors) => errors.into_iter().for_each(|error| show(&error, source, &mut told)),
        }
    }
    told
}

fn show(error: &syn::Error, source: &str, told: &mut String) {
    let (start, end) = (error.span().start(), error.span().end());
    let line = source.lines().nth(start.line - 1).unwrap_or_default();
    let width = match end.line == start.line {
        true => end.column - start.column,
        false => line.chars().count() - start.column,
    };
    let marks = " ".repeat(start.column) + &"^".repeat(width.max(1));
    writeln!(told, "{}: {error}\n  | {line}\n  | {marks}\n", start.line).unwrap();
}
