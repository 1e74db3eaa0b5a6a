//! Converts names to MIDL's naming conventions and avoids MIDL's keywords.

use std::collections::{HashMap, HashSet};

/// The names in use in a scope. They are compared case-insensitively, as in MIDL's type libraries.
#[derive(Default)]
pub(super) struct MidlNames {
    names: HashSet<String>,
    /// The number to append to the next duplicate of each name.
    next: HashMap<String, u32>,
}

impl MidlNames {
    /// Adds a name. Returns whether it was unused.
    pub(super) fn is_new(&mut self, name: &str) -> bool {
        self.names.insert(name.to_ascii_lowercase())
    }

    /// Adds a name and returns it. If the name is in use, adds and returns a similar one.
    pub(super) fn unique(&mut self, name: &str) -> String {
        if self.is_new(name) {
            return name.to_owned();
        }
        loop {
            let next = self.next.entry(name.to_ascii_lowercase()).or_insert(2);
            let like = format!("{name}{next}");
            *next += 1;
            if self.is_new(&like) {
                return like;
            }
        }
    }
}

/// Converts `decorate_this_file` to `decorateThisFile`. Appends an underscore to a MIDL keyword.
pub(super) fn camel(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or("value").to_owned();
    let name = words.fold(first, |name, word| name + &capital(word));
    if KEYWORDS.contains(&name.as_str()) { name + "_" } else { name }
}

/// Converts `add_sparkle` to `AddSparkle`.
pub(super) fn pascal(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words.map(capital).collect()
}

/// Converts the first letter of a word to upper case.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The keywords of MIDL, and the C keywords that can't be names in MIDL's generated code.
const KEYWORDS: [&str; 62] = [
    "auto",
    "boolean",
    "break",
    "byte",
    "callback",
    "case",
    "char",
    "class",
    "coclass",
    "const",
    "continue",
    "cpp_quote",
    "default",
    "delete",
    "dispinterface",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "handle_t",
    "hyper",
    "if",
    "import",
    "importlib",
    "in",
    "int",
    "interface",
    "library",
    "long",
    "methods",
    "module",
    "namespace",
    "new",
    "operator",
    "out",
    "pipe",
    "private",
    "properties",
    "public",
    "register",
    "return",
    "short",
    "signed",
    "sizeof",
    "small",
    "static",
    "string",
    "struct",
    "switch",
    "template",
    "this",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "wchar_t",
];
