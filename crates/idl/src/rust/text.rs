//! Formats generated Rust source.

use syn::{File, Item};

use super::CratePath;
use super::source::source;
use syshandle_model::{Class, Description, write_guid};

/// Returns formatted Rust source for a description, which refers to syshandle by `crate_path`.
pub(crate) fn text(description: &Description, crate_path: Option<&CratePath>) -> String {
    let mut text = HEAD.to_owned();
    // The formatter doesn't format the arguments of macros. Classes are therefore formatted
    // separately.
    let without_classes = Description { classes: Vec::new(), ..description.clone() };
    let tokens = source(&without_classes, crate_path);
    match syn::parse2::<File>(tokens.clone()) {
        Ok(file) => {
            for item in file.items {
                let is_line = matches!(item, Item::Const(_) | Item::Type(_));
                if !(is_line && text.ends_with(";\n")) {
                    text.push('\n');
                }
                let alone =
                    File { shebang: None, frontmatter: None, attrs: Vec::new(), items: vec![item] };
                // Removes a space that the formatter adds to ranges in attributes.
                text += &prettyplease::unparse(&alone).replace("..= ", "..=");
            }
        }
        // Not reached, because the generated source is valid Rust. If it weren't, the compiler
        // would report the error.
        Err(_) => text += &tokens.to_string(),
    }
    let library = crate_path.map_or_else(|| "syshandle".into(), ToString::to_string);
    description.classes.iter().for_each(|of| class(of, &library, &mut text));
    text
}

fn class(class: &Class, library: &str, text: &mut String) {
    let interfaces: Vec<_> = class.interfaces.iter().map(ToString::to_string).collect();
    *text += &format!("\n{library}::class! {{\n");
    for line in &class.docs {
        *text += &format!("    ///{line}\n");
    }
    let clsid = write_guid(&class.clsid);
    *text += &format!("    pub {}: {} = \"{clsid}\";\n}}\n", class.name, interfaces.join(" + "));
}

const HEAD: &str = "// Written by syshandle from an .idl file; changes here will be lost.\n";
