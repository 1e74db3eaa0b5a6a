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
    /// The COM layouts that an `.idl` file declares, as far as the Rust doesn't say them: by
    /// `Trait::method` or by the name of a type, a text for each part. Rust source has none.
    pub layouts: HashMap<String, Vec<Layout>>,
}

/// The COM layout of a parameter or a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The name of the parameter or the field; empty for a type as a whole.
    pub name: String,
    /// The type in MIDL's words, without names of typedefs, with the attributes that matter.
    pub text: String,
    /// `text` with positions instead of the names of parameters: equal layouts have equal keys.
    pub key: String,
    /// A parameter that comes out of a method.
    pub is_out: bool,
    /// The access rights of Windows that a handle keeps on its way; `None` if it keeps all.
    pub mask: Option<u32>,
}

impl Description {
    /// Whether nothing is described.
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.interfaces.is_empty() && self.classes.is_empty()
    }
}

/// A type or a constant that is declared beside the interfaces.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub kind: DefinitionKind,
}

/// What a definition defines.
#[derive(Clone, Debug)]
pub enum DefinitionKind {
    /// A struct with these fields.
    Struct(Vec<Field>),
    /// An enum with these variants; a variant's number on the wire is its place here.
    Enum(Vec<Variant>),
    /// Another name for a type.
    Alias(Type),
    /// A constant: its type and its value.
    Constant(Type, TokenStream),
}

impl Definition {
    /// The types that it is made of.
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
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// Its name, and its type with what is declared of the handles in it.
    pub value: Parameter,
}

/// A variant of an enum.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// Its name.
    pub name: Ident,
    /// The number that stands for it in the language of the source, if one is written.
    pub value: Option<i64>,
    /// The fields. Their names are for readers of the description only.
    pub fields: Vec<Parameter>,
}

/// A class: an implementation with a name.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// The name of its constant.
    pub name: Ident,
    /// The identifier, in the order in which it is written.
    pub clsid: [u8; 16],
    /// The names of its interfaces.
    pub interfaces: Vec<Ident>,
}

/// An interface: a set of methods under one identifier, which never changes.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The identifier, in the order in which it is written.
    pub iid: [u8; 16],
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// Who sees it: `pub`, or nothing.
    pub visibility: TokenStream,
    /// The name of the trait.
    pub name: Ident,
    /// The names of its base interfaces in an `.idl` file, the nearest first. `methods` has their
    /// methods too.
    pub bases: Vec<String>,
    /// Declared private to syshandle: all its callers and servers have the tables of this trait, so
    /// its COM layout may differ from an `.idl` file's.
    pub is_private: bool,
    /// The methods; a method's number on the wire is its place here.
    pub methods: Vec<Method>,
}

/// A method of an interface.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its documentation, a line each.
    pub docs: Vec<String>,
    /// Attributes that the trait and its clients get as well: `#[deprecated]`, `#[must_use]`,
    /// `#[allow(…)]` and `#[expect(…)]`.
    pub attributes: Vec<Attribute>,
    /// Its name.
    pub name: Ident,
    /// The parameter for the context of the call, if the method has one.
    pub context: Option<Parameter>,
    /// What the client passes.
    pub parameters: Vec<Parameter>,
    /// What it returns.
    pub result: Type,
    /// The declaration of the handles in the result.
    pub result_handle: Option<Handle>,
    /// The method's own error type, if it has one.
    pub error: Option<Type>,
    /// Whether it returns its own error within a `CallError`, so that it can fail as every call can.
    pub returns_call_error: bool,
    /// Its return type as it was written.
    pub returns: Type,
    /// Whether it is declared to block: `#[blocking]`.
    pub blocking: bool,
    /// Why its COM layout differs from the one that its `.idl` file declares.
    pub differs: Option<String>,
}

/// A parameter of a method.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Ident,
    /// Its type at the server, which owns it.
    pub ty: Type,
    /// The declaration of the handles in the value, in addition to its type.
    pub handle: Option<Handle>,
    /// Its bounds, if any are declared: `#[range(1..=10)]`.
    pub range: Option<Range>,
}

/// Bounds of a number, or of how many items or letters there are. Both ends are part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub from: i128,
    /// The most.
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
    /// Of one of these kinds.
    pub kinds: Vec<Ident>,
    /// A socket of one of these sorts, if any are named.
    pub sockets: Vec<Ident>,
    /// A file of one of these sorts, if any are named.
    pub files: Vec<Ident>,
    /// With these rights, at least.
    pub at_least: Vec<Ident>,
    /// With no rights but these.
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

/// The methods that every client has of its own: none of an interface can have such a name.
pub const CLIENT_METHODS: [&str; 7] =
    ["activate", "cast", "in_process", "wait", "with_cancel", "with_filesystems", "with_timeout"];

/// How many interfaces a class has at most: as many as the first frame of a connection names.
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

/// The identifier in a text of the form 8-4-4-4-12, with or without braces.
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

/// The numbers of an enum's variants in the language of the source: each that isn't written is
/// one more than the one before.
pub fn numbers(variants: &[Variant]) -> Vec<i64> {
    let mut next: i64 = 0;
    let numbers = variants.iter().map(|variant| {
        let number = variant.value.unwrap_or(next);
        next = number.wrapping_add(1);
        number
    });
    numbers.collect()
}

/// Returns a name without the mark that a Rust keyword needs: `type` for `r#type` and `type_`.
pub fn plain_name(name: &Ident) -> String {
    name.unraw().to_string()
}

/// The names in a piece of Rust, in their order.
pub fn names(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => found.push(plain_name(&name)),
            TokenTree::Group(group) => found.extend(names(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// The text of an identifier: 8-4-4-4-12 lower case digits.
pub fn write_guid(bytes: &[u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*bytes));
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| &digits[group]);
    groups.join("-")
}
