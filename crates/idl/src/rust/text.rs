//! Formats generated source for readers.

use syn::{File, Item};

use super::source::source;
use syshandle_model::{Class, Description, write_guid};

/// Returns the Rust source of a description, as a text.
pub(crate) fn text(description: &Description) -> String {
    let mut text = HEAD.to_owned();
    // The formatter leaves the content of a macro call as it is, so classes are formatted
    // separately.
    let without_classes = Description { classes: Vec::new(), ..description.clone() };
    let tokens = source(&without_classes);
    match syn::parse2::<File>(tokens.clone()) {
        Ok(file) => {
            for item in file.items {
                let is_line = matches!(item, Item::Const(_) | Item::Type(_));
                if !(is_line && text.ends_with(";\n")) {
                    text.push('\n');
                }
                let alone =
                    File { shebang: None, frontmatter: None, attrs: Vec::new(), items: vec![item] };
                // The formatter adds a space to ranges in attributes.
                text += &prettyplease::unparse(&alone).replace("..= ", "..=");
            }
        }
        // Unreachable, because the generated text is valid Rust. If it isn't, the compiler reports
        // the error.
        Err(_) => text += &tokens.to_string(),
    }
    description.classes.iter().for_each(|of| class(of, &mut text));
    text
}

fn class(class: &Class, text: &mut String) {
    let interfaces: Vec<_> = class.interfaces.iter().map(ToString::to_string).collect();
    *text += "\nsyshandle::class! {\n";
    for line in &class.docs {
        *text += &format!("    ///{line}\n");
    }
    let clsid = write_guid(&class.clsid);
    *text += &format!("    pub {}: {} = \"{clsid}\";\n}}\n", class.name, interfaces.join(" + "));
}

const HEAD: &str = "// Written by syshandle from an .idl file; changes here will be lost.\n";
