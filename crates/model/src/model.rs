//! The model of an interface. Rust traits and `.idl` files have the same model.

use std::collections::HashMap;
use std::fmt;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Type};

/// The description of a source file: interfaces, classes and types.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The types and constants.
    pub definitions: Vec<Definition>,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// The classes.
    pub classes: Vec<Class>,
    /// The COM layouts that an `.idl` file declares, as far as the Rust types don't express them.
    /// The key is `Trait::method` or the name of a type, and each part has a text. Rust source has
    /// none.
    pub layouts: HashMap<String, Vec<Layout>>,
}

/// The COM layout of a parameter or a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The name of the parameter or the field; empty for a type as a whole.
    pub name: String,
    /// The type in MIDL's terms, with typedefs resolved and with the attributes that affect the
    /// layout.
    pub text: String,
    /// `text` with positions in place of the names of parameters. Equal layouts have equal keys.
    pub key: String,
    /// Whether the value is an output of the method.
    pub is_out: bool,
    /// The Windows access rights that a handle keeps in transit; `None` if it keeps all.
    pub mask: Option<u32>,
}

impl Description {
    /// Returns whether the description is empty.
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.interfaces.is_empty() && self.classes.is_empty()
    }
}

/// A type or a constant that is declared beside the interfaces.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name.
    pub name: Ident,
    /// The definition itself.
    pub kind: DefinitionKind,
}

/// The kinds of definitions.
#[derive(Clone, Debug)]
pub enum DefinitionKind {
    /// A struct with these fields.
    Struct(Vec<Field>),
    /// An enum with these variants. A variant's number on the wire is its index in the list.
    Enum(Vec<Variant>),
    /// Another name for a type.
    Alias(Type),
    /// A constant, with its type and its value.
    Constant(Type, TokenStream),
}

impl Definition {
    /// Returns the types that the definition consists of.
    pub fn types(&self) -> TokenStream {
        let one = |of: &Parameter| of.ty.to_token_stream();
        match &self.kind {
            DefinitionKind::Struct(fields) => fields.iter().map(|of| one(&of.value)).collect(),
            DefinitionKind::Enum(variants) => {
                variants.iter().flat_map(|variant| &variant.fields).map(one).collect()
            }
            DefinitionKind::Alias(ty) | DefinitionKind::Constant(ty, _) => ty.to_token_stream(),
        }
    }
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// Documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name and the type, with the declaration of the handles in it.
    pub value: Parameter,
}

/// A variant of an enum.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name.
    pub name: Ident,
    /// The variant's number in the language of the source, if one is written.
    pub value: Option<i64>,
    /// The fields. Their names only serve readers of the description.
    pub fields: Vec<Parameter>,
}

/// A class: a named implementation that a server offers.
#[derive(Clone, Debug)]
pub struct Class {
    /// Documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name of the constant.
    pub name: Ident,
    /// The identifier, in the order in which it is written.
    pub clsid: [u8; 16],
    /// The names of the class's interfaces.
    pub interfaces: Vec<Ident>,
}

/// An interface: a set of methods under one identifier, which never changes.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The identifier, in the order in which it is written.
    pub iid: [u8; 16],
    /// Documentation, one entry per line.
    pub docs: Vec<String>,
    /// The visibility: `pub` or nothing.
    pub visibility: TokenStream,
    /// The name of the trait.
    pub name: Ident,
    /// The names of the base interfaces in an `.idl` file, nearest first. `methods` includes their
    /// methods.
    pub bases: Vec<String>,
    /// Whether the interface is private to syshandle. All callers and servers of a private
    /// interface have the tables of this trait, so its COM layout may differ from an `.idl` file's.
    pub is_private: bool,
    /// The methods. A method's number on the wire is its index in the list.
    pub methods: Vec<Method>,
}

/// A method of an interface.
#[derive(Clone, Debug)]
pub struct Method {
    /// Documentation, one entry per line.
    pub docs: Vec<String>,
    /// Attributes that the trait and its clients get as well: `#[deprecated]`, `#[must_use]`,
    /// `#[allow(…)]` and `#[expect(…)]`.
    pub attributes: Vec<Attribute>,
    /// The name.
    pub name: Ident,
    /// The parameter for the context of the call, if the method has one.
    pub context: Option<Parameter>,
    /// The parameters that the client passes.
    pub parameters: Vec<Parameter>,
    /// The type of the result.
    pub result: Type,
    /// The declaration of the handles in the result.
    pub result_handle: Option<Handle>,
    /// The method's own error type, if it has one.
    pub error: Option<Type>,
    /// Whether the method returns its own error within a `CallError`, so that it can also return
    /// the errors that every call can have.
    pub returns_call_error: bool,
    /// The return type as written.
    pub returns: Type,
    /// Whether the method is declared as blocking: `#[blocking]`.
    pub blocking: bool,
    /// The reason why the COM layout differs from the one in the `.idl` file.
    pub differs: Option<String>,
}

/// A parameter of a method.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The name.
    pub name: Ident,
    /// The type at the server, which owns the value.
    pub ty: Type,
    /// The declaration of the handles in the value, in addition to its type.
    pub handle: Option<Handle>,
    /// The declared bounds, if any: `#[range(1..=10)]`.
    pub range: Option<Range>,
}

/// Bounds of a number, of a number of items, or of the length of a text in UTF-16 units. Both bounds
/// are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lower bound.
    pub from: i128,
    /// The upper bound.
    pub to: i128,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.from, self.to)
    }
}

/// The declaration of a handle: `#[handle(file | socket(tcp_stream), read, at_most = read | write)]`.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The possible kinds of the handle.
    pub kinds: Vec<Ident>,
    /// The possible sorts of a socket; empty for all.
    pub sockets: Vec<Ident>,
    /// The possible sorts of a file; empty for all.
    pub files: Vec<Ident>,
    /// The rights that the handle must have.
    pub at_least: Vec<Ident>,
    /// The rights that the handle may have; `None` for all.
    pub at_most: Option<Vec<Ident>>,
}

/// The names of the kinds, each with the name of its Rust constant.
pub const KINDS: [(&str, &str); 15] = [
    ("file", "File"),
    ("semaphore", "Semaphore"),
    ("event", "Event"),
    ("mutex", "Mutex"),
    ("process", "Process"),
    ("token", "Token"),
    ("section", "Section"),
    ("reg_key", "RegKey"),
    ("thread", "Thread"),
    ("composition", "Composition"),
    ("socket", "Socket"),
    ("job", "Job"),
    ("pipe", "Pipe"),
    ("directory", "Directory"),
    ("timer", "Timer"),
];

/// The methods that every client has. No method of an interface can have one of these names.
pub const CLIENT_METHODS: [&str; 7] =
    ["activate", "cast", "in_process", "wait", "with_cancel", "with_filesystems", "with_timeout"];

/// Maximum number of interfaces of a class. The mark in a server's program file, by which
/// `syshandle register` finds the class, has room for this many.
pub const CLASS_INTERFACES_MAX: usize = 8;

/// The names of the rights.
pub const RIGHTS: [&str; 9] =
    ["read", "write", "append", "signal", "wait", "map", "seal", "resize", "change"];

/// The names of the sorts of files.
pub const FILES: [&str; 3] = ["regular", "device", "special"];

/// The names of the sorts of sockets.
pub const SOCKETS: [&str; 11] = [
    "unix_stream",
    "unix_listener",
    "unix_datagram",
    "seqpacket",
    "seqpacket_listener",
    "tcp_stream",
    "tcp_listener",
    "udp_socket",
    "vsock_stream",
    "vsock_listener",
    "other",
];

/// Parses an identifier of the form 8-4-4-4-12, with or without braces.
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let groups: Vec<_> = inner.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || !inner.is_ascii() {
        return None;
    }
    let digits = groups.concat();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let [high, low] = pair else { return None };
        let digit = |c: &u8| char::from(*c).to_digit(16);
        *byte = (digit(high)? << 4 | digit(low)?) as u8;
    }
    Some(bytes)
}

/// Returns the numbers of an enum's variants in the language of the source. A variant without a
/// written number has the previous number plus one.
pub fn discriminants(variants: &[Variant]) -> Vec<i64> {
    let mut next: i64 = 0;
    let numbers = variants.iter().map(|variant| {
        let number = variant.value.unwrap_or(next);
        next = number.wrapping_add(1);
        number
    });
    numbers.collect()
}

/// Returns a name without the syntax that a Rust keyword needs: `type` for `r#type`.
pub fn plain_name(name: &Ident) -> String {
    name.unraw().to_string()
}

/// Returns the names in a piece of Rust, in source order.
pub fn identifiers(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => found.push(plain_name(&name)),
            TokenTree::Group(group) => found.extend(identifiers(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Formats an identifier as 8-4-4-4-12 lower-case digits.
pub fn write_guid(bytes: &[u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*bytes));
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| &digits[group]);
    groups.join("-")
}
