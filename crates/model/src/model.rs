//! The model of an interface, which is the same for Rust traits and `.idl` files.

use std::collections::HashMap;
use std::fmt;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, Type};

/// The interfaces, classes and types of a source file.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The types and constants.
    pub definitions: Vec<Definition>,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// The classes.
    pub classes: Vec<Class>,
    /// The parts of COM layouts in an `.idl` file that Rust types don't express. The key is
    /// `Trait::method` or the name of a type. The value has one entry per parameter or field. Empty
    /// for Rust source.
    pub layouts: HashMap<String, Vec<Layout>>,
}

/// The COM layout of a parameter or field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The name of the parameter or field. Empty if the layout is that of a whole type.
    pub name: String,
    /// The MIDL type with its typedefs resolved, and the attributes that affect the layout.
    pub text: String,
    /// A copy of `text` in which parameter names are replaced with positions. Two layouts are equal
    /// if their keys are.
    pub key: String,
    /// Whether the value is a result of the method.
    pub is_out: bool,
    /// The Windows access rights that a handle keeps when it is sent; `None` if it keeps all.
    pub mask: Option<u32>,
}

impl Method {
    /// Returns whether the method is written without a result, which only a one-way method is.
    pub fn returns_nothing(&self) -> bool {
        matches!(&self.returns, Type::Tuple(tuple) if tuple.elems.is_empty())
    }
}

impl Description {
    /// Returns whether the description contains nothing.
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.interfaces.is_empty() && self.classes.is_empty()
    }
}

/// A type or constant that is declared outside of the interfaces.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name.
    pub name: Ident,
    /// The kind of definition, with its contents.
    pub kind: DefinitionKind,
    /// Whether a struct can gain fields, or an enum variants: `#[grows]`.
    pub grows: bool,
}

/// The kinds of definitions.
#[derive(Clone, Debug)]
pub enum DefinitionKind {
    /// A struct with these fields.
    Struct(Vec<Field>),
    /// An enum with these variants. On the wire, a variant is represented by its index in this
    /// list, which doesn't contain the variant with `#[unknown]`.
    Enum(Vec<Variant>),
    /// An alias of another type.
    Alias(Type),
    /// A constant with this type and value.
    Constant(Type, TokenStream),
}

impl Definition {
    /// Returns the types that the definition refers to.
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
    /// The documentation, name, type and handle declaration.
    pub value: Parameter,
    /// The attribute `#[added]`, if a later version of the struct added the field.
    pub added: Option<Added>,
}

/// The attribute `#[added]` of a field.
#[derive(Clone, Debug)]
pub struct Added {
    /// Whether a receiver that doesn't know the field refuses a value that sets it.
    pub is_required: bool,
    /// The value of the field if the sender doesn't know it; `None` for the default of its type.
    pub default: Option<Expr>,
}

/// A variant of an enum.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name.
    pub name: Ident,
    /// The variant's value, if the source specifies one.
    pub value: Option<i64>,
    /// The fields. Their names serve only as documentation.
    pub fields: Vec<Parameter>,
}

/// A class: a named implementation that a server offers.
#[derive(Clone, Debug)]
pub struct Class {
    /// The documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name of the constant that represents the class.
    pub name: Ident,
    /// The CLSID, with its bytes in the order in which it is written.
    pub clsid: [u8; 16],
    /// The names of the interfaces that the class implements.
    pub interfaces: Vec<Ident>,
}

/// An interface: a set of methods with an identifier. An interface never changes once it is
/// published.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The IID, with its bytes in the order in which it is written.
    pub iid: [u8; 16],
    /// The documentation, one entry per line.
    pub docs: Vec<String>,
    /// The visibility: `pub` or nothing.
    pub visibility: TokenStream,
    /// The name of the trait.
    pub name: Ident,
    /// The names of the base interfaces in an `.idl` file, nearest first. Their methods are
    /// included in `methods`.
    pub bases: Vec<String>,
    /// Whether only programs that use syshandle call and serve the interface. The COM layout of
    /// such a private interface may differ from the layout in the `.idl` file.
    pub is_private: bool,
    /// The methods. On the wire, a method is represented by its index in this list.
    pub methods: Vec<Method>,
}

/// A method of an interface.
#[derive(Clone, Debug)]
pub struct Method {
    /// The documentation, one entry per line.
    pub docs: Vec<String>,
    /// The attributes that are copied to the trait and the clients: `#[deprecated]`, `#[must_use]`,
    /// `#[allow(…)]` and `#[expect(…)]`.
    pub attributes: Vec<Attribute>,
    /// The name.
    pub name: Ident,
    /// The parameter for the call's context, if the method has one.
    pub context: Option<Parameter>,
    /// The parameters that the client passes, which excludes the context.
    pub parameters: Vec<Parameter>,
    /// The type of the result.
    pub result: Type,
    /// The handle declaration for the result.
    pub result_handle: Option<Handle>,
    /// The method's own error type, if any.
    pub error: Option<Type>,
    /// Whether the method wraps its own error in `CallError`, which can also contain errors of the
    /// library.
    pub returns_call_error: bool,
    /// The return type as written in the source.
    pub returns: Type,
    /// Whether the method has the attribute `#[blocking]`.
    pub blocking: bool,
    /// Whether the method has the attribute `#[oneway]`.
    pub one_way: bool,
    /// The reason why the method's COM layout differs from the layout in the `.idl` file, if it
    /// does.
    pub differs: Option<String>,
}

/// A parameter of a method, or a field.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The documentation, one entry per line.
    pub docs: Vec<String>,
    /// The name.
    pub name: Ident,
    /// The server's type for the value. It owns the value.
    pub ty: Type,
    /// The declaration of the handles in the value. It restricts them in addition to the type.
    pub handle: Option<Handle>,
    /// The allowed range, as in `#[range(1..=10)]`.
    pub range: Option<Range>,
}

/// The allowed range of an integer, of a number of items, or of the length of a string in UTF-16
/// code units. Both bounds are inclusive.
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

/// A handle declaration, such as `#[handle(file | socket(tcp_stream), read, at_most = read |
/// write)]`.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The allowed kinds.
    pub kinds: Vec<Ident>,
    /// The allowed socket types; if empty, all.
    pub sockets: Vec<Ident>,
    /// The allowed file types; if empty, all.
    pub files: Vec<Ident>,
    /// The required rights.
    pub at_least: Vec<Ident>,
    /// The allowed rights; `None` for all.
    pub at_most: Option<Vec<Ident>>,
}

/// The names of the handle kinds. Each is followed by the name of its Rust constant.
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

/// The methods that every client type has. A method of an interface can't have one of these names.
pub const CLIENT_METHODS: [&str; 8] = [
    "activate",
    "cast",
    "flush_one_way",
    "in_process",
    "wait",
    "with_cancel",
    "with_filesystems",
    "with_timeout",
];

/// Maximum number of interfaces of a class. The class's mark in the server's program file, which
/// `syshandle register` reads, has space for this many.
pub const CLASS_INTERFACES_MAX: usize = 8;

/// The names of the rights.
pub const RIGHTS: [&str; 9] =
    ["read", "write", "append", "signal", "wait", "map", "seal", "resize", "change"];

/// The names of the file types in handle declarations.
pub const FILES: [&str; 3] = ["regular", "device", "special"];

/// The names of the socket types in handle declarations.
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

/// Parses a GUID of the form 8-4-4-4-12, with or without braces.
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

/// Returns the values of an enum's variants. A variant without a value in the source has the value
/// of the previous one plus one.
pub fn discriminants(variants: &[Variant]) -> Vec<i64> {
    let mut next: i64 = 0;
    let numbers = variants.iter().map(|variant| {
        let number = variant.value.unwrap_or(next);
        next = number.wrapping_add(1);
        number
    });
    numbers.collect()
}

/// Returns a name without the prefix `r#`.
pub fn plain_name(name: &Ident) -> String {
    name.unraw().to_string()
}

/// Returns all identifiers in a piece of Rust code, in source order.
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

/// Formats a GUID in the form 8-4-4-4-12 with lower-case digits.
pub fn write_guid(bytes: &[u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(*bytes));
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| &digits[group]);
    groups.join("-")
}
