//! The wire format of a type, with all names resolved.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

use super::Budget;
use super::authority::Authority;
use syshandle_model::{
    Definition, DefinitionKind, Description, Handle, Interface, Parameter, Range,
};

/// The wire format of a value, as its reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// A type without members, such as a number, a string or a duration. Contains the type's name.
    Plain(String),
    /// Any number of items of the same format.
    List(Box<Form>),
    /// Any number of items of the same format, of which no two are equal.
    Set(Box<Form>),
    /// A fixed number of items of the same format.
    Array(Box<Form>, u64),
    Map(Box<Form>, Box<Form>),
    Optional(Box<Form>),
    /// Several values in sequence.
    Tuple(Vec<Form>),
    Outcome(Box<Form>, Box<Form>),
    /// A stream of items of this format.
    Stream(Box<Form>),
    /// A struct or enum of the description. It is referred to by name, because it may contain
    /// itself. The authority applies to contained handles that have no declaration of their own.
    Defined(String, Option<Authority>),
    Handle(Authority),
    /// An object reference. The IID is known if the description contains the interface.
    Object {
        name: String,
        iid: Option<[u8; 16]>,
    },
    /// A type that the comparison doesn't know, as written in the source.
    Unknown(String),
}

/// The wire format of a value, and the allowed range.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueForm {
    pub(super) form: Form,
    pub(super) range: Option<Range>,
}

/// The definitions and interfaces of a description by name, and cached results.
pub(super) struct Index<'d> {
    pub(super) description: &'d Description,
    definitions: HashMap<String, &'d Definition>,
    interfaces: HashMap<String, &'d Interface>,
    parts: RefCell<HashMap<String, Rc<[ValueForm]>>>,
    budget: &'d Budget,
}

impl<'d> Index<'d> {
    pub(super) fn of(description: &'d Description, budget: &'d Budget) -> Self {
        let mut definitions = HashMap::new();
        for definition in &description.definitions {
            definitions.entry(definition.name.to_string()).or_insert(definition);
        }
        let mut interfaces = HashMap::new();
        for interface in &description.interfaces {
            interfaces.entry(interface.name.to_string()).or_insert(interface);
        }
        Self { description, definitions, interfaces, parts: RefCell::default(), budget }
    }
}

/// Resolves the types of one description.
#[derive(Clone, Copy)]
pub(super) struct TypeResolver<'d>(pub(super) &'d Index<'d>);

impl<'d> TypeResolver<'d> {
    /// Returns the description that defines the types.
    pub(super) fn description(self) -> &'d Description {
        self.0.description
    }

    /// Counts steps of the comparison. Returns whether the total is within the limit.
    pub(super) fn spend(self, steps: usize) -> bool {
        self.0.budget.spend(steps)
    }

    /// Finds an interface by its name.
    pub(super) fn interface(self, name: &str) -> Option<&'d Interface> {
        self.0.interfaces.get(name).copied()
    }

    /// Returns the wire format and the range of a parameter, field or result.
    pub(super) fn value(self, of: &Parameter) -> ValueForm {
        ValueForm { form: self.form(&of.ty, of.handle.as_ref()), range: of.range }
    }

    /// Returns the wire format of a result type or error type, which has no parameter name.
    pub(super) fn form(self, ty: &Type, handle: Option<&Handle>) -> Form {
        self.resolve(ty, handle, 0)
    }

    /// Finds a struct, enum or other definition by name.
    pub(super) fn definition(self, name: &str) -> Option<&'d Definition> {
        self.0.definitions.get(name).copied()
    }

    fn resolve(self, ty: &Type, handle: Option<&Handle>, depth: usize) -> Form {
        let unknown = || Form::Unknown(type_text(ty));
        // Without limits, two aliases that refer to each other would never end.
        if depth > DEPTH_MAX || !self.spend(1) {
            return unknown();
        }
        let resolved = |ty: &Type| Box::new(self.resolve(ty, handle, depth + 1));
        match ty {
            Type::Paren(inner) => return *resolved(&inner.elem),
            Type::Group(inner) => return *resolved(&inner.elem),
            Type::Reference(inner) => return *resolved(&inner.elem),
            Type::Slice(slice) => return Form::List(resolved(&slice.elem)),
            Type::Array(array) => {
                let length = array.len.to_token_stream().to_string();
                return match length.parse() {
                    Ok(length) => Form::Array(resolved(&array.elem), length),
                    Err(_) => unknown(),
                };
            }
            Type::Tuple(tuple) => {
                return Form::Tuple(tuple.elems.iter().map(|ty| *resolved(ty)).collect());
            }
            _ => {}
        }
        let Type::Path(path) = ty else { return unknown() };
        let Some(last) = path.path.segments.last() else { return unknown() };
        let name = last.ident.to_string();
        match self.definition(&name).map(|of| &of.kind) {
            Some(DefinitionKind::Alias(ty)) => return *resolved(ty),
            Some(DefinitionKind::Struct(_) | DefinitionKind::Enum(_)) => {
                let declared = handle.and_then(|of| Authority::of("OwnedFd", Some(of)));
                return Form::Defined(name, declared);
            }
            Some(DefinitionKind::Constant(..)) | None => {}
        }
        let arguments: Vec<&Type> = match &last.arguments {
            PathArguments::AngleBracketed(list) => {
                let types = list.args.iter().filter_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                });
                types.collect()
            }
            _ => Vec::new(),
        };
        match (name.as_str(), arguments.as_slice()) {
            ("Vec" | "VecDeque", [item, ..]) => Form::List(resolved(item)),
            ("HashSet" | "BTreeSet", [item, ..]) => Form::Set(resolved(item)),
            ("HashMap" | "BTreeMap", [key, value, ..]) => Form::Map(resolved(key), resolved(value)),
            ("Option", [inner]) => Form::Optional(resolved(inner)),
            ("Box" | "Arc" | "Rc" | "HandleRef", [inner]) => *resolved(inner),
            ("Stream", [item]) => Form::Stream(resolved(item)),
            ("Result", [value, error]) => Form::Outcome(resolved(value), resolved(error)),
            // `usize` has the same wire format as `u64`.
            // The start and the end have the form of an array on the wire.
            ("Range", [bound]) => Form::Array(resolved(bound), 2),
            ("usize", []) => Form::Plain("u64".to_owned()),
            ("isize", []) => Form::Plain("i64".to_owned()),
            ("OsString", []) => Form::Plain("PathBuf".to_owned()),
            (name, []) if PLAIN.contains(&name) => Form::Plain(name.to_owned()),
            (_, []) => self.by_name(&name, handle).unwrap_or_else(unknown),
            _ => unknown(),
        }
    }

    fn by_name(self, name: &str, handle: Option<&Handle>) -> Option<Form> {
        if let Some(authority) = Authority::of(name, handle) {
            return Some(Form::Handle(authority));
        }
        let name = name.strip_suffix("Client").filter(|name| !name.is_empty())?;
        let known = self.interface(name);
        Some(Form::Object { name: name.to_owned(), iid: known.map(|known| known.iid) })
    }

    /// Returns the handles and object references in a value, each with the information whether
    /// there can be several.
    pub(super) fn authorities(self, of: &Form) -> Vec<Capability> {
        self.search(std::slice::from_ref(of)).found
    }

    /// Searches values for handles, object references and definitions.
    pub(super) fn search(self, values: &[Form]) -> CapabilitySearch {
        let mut collected = CapabilitySearch::default();
        values.iter().for_each(|of| self.collect(of, false, &mut collected));
        while let Some((name, many)) = collected.open.pop() {
            for part in self.parts(&name).iter() {
                self.collect(&part.form, many, &mut collected);
            }
        }
        collected
    }

    /// Collects the handles and object references in a wire format. Definitions are queued instead
    /// of visited recursively, because a chain of nested types may be long.
    fn collect(self, of: &Form, many: bool, to: &mut CapabilitySearch) {
        if !self.spend(1) {
            return;
        }
        match of {
            Form::Handle(_) | Form::Object { .. } => {
                let capability = Capability { form: of.clone(), many };
                // Duplicates are skipped. Each handle or object reference is compared once.
                if self.spend(to.found.len()) && !to.found.contains(&capability) {
                    to.found.push(capability);
                }
            }
            Form::List(inner) | Form::Set(inner) | Form::Stream(inner) => {
                self.collect(inner, true, to)
            }
            Form::Array(inner, length) => self.collect(inner, many || *length > 1, to),
            Form::Optional(inner) => self.collect(inner, many, to),
            Form::Map(key, value) => {
                self.collect(key, true, to);
                self.collect(value, true, to);
            }
            Form::Outcome(value, error) => {
                self.collect(value, many, to);
                self.collect(error, many, to);
            }
            Form::Tuple(items) => {
                items.iter().for_each(|item| self.collect(item, many, to));
            }
            Form::Defined(name, _) => {
                let key = (name.clone(), many);
                if to.seen.insert(key.clone()) {
                    to.open.push(key);
                }
            }
            Form::Plain(_) | Form::Unknown(_) => {}
        }
    }

    /// Returns whether the named type is a struct with `len` fields that can't grow.
    pub(super) fn is_struct(self, name: &str, len: usize) -> bool {
        self.definition(name).is_some_and(|of| {
            matches!(&of.kind, DefinitionKind::Struct(fields) if fields.len() == len && !of.grows)
        })
    }

    /// Returns the wire formats of all fields in a struct or in the variants of an enum.
    pub(super) fn parts(self, name: &str) -> Rc<[ValueForm]> {
        if let Some(known) = self.0.parts.borrow().get(name) {
            return Rc::clone(known);
        }
        let parts: Rc<[ValueForm]> = self.parts_of(name).into();
        self.0.parts.borrow_mut().insert(name.to_owned(), Rc::clone(&parts));
        parts
    }

    fn parts_of(self, name: &str) -> Vec<ValueForm> {
        match self.definition(name).map(|of| &of.kind) {
            Some(DefinitionKind::Struct(fields)) => {
                fields.iter().map(|field| self.value(&field.value)).collect()
            }
            Some(DefinitionKind::Enum(variants)) => {
                variants.iter().flat_map(|of| &of.fields).map(|of| self.value(of)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The handles and object references found in values, and the definitions that remain to be
/// searched.
#[derive(Default)]
pub(super) struct CapabilitySearch {
    pub(super) found: Vec<Capability>,
    /// The definitions that remain to be searched, each with the information whether the value can
    /// contain several instances.
    open: Vec<(String, bool)>,
    seen: HashSet<(String, bool)>,
}

impl CapabilitySearch {
    /// Returns the names of the structs and enums in the values.
    pub(super) fn definitions(&self) -> BTreeSet<&str> {
        self.seen.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// A handle or object reference in a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Capability {
    /// The wire format: `Form::Handle` or `Form::Object`.
    pub(super) form: Form,
    /// Whether the value can contain several of them.
    pub(super) many: bool,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, items: &[Form]| {
            items.iter().enumerate().try_for_each(|(at, item)| {
                f.write_str(if at == 0 { "" } else { ", " })?;
                write!(f, "{item}")
            })
        };
        match self {
            Form::Plain(name) | Form::Defined(name, _) | Form::Unknown(name) => f.write_str(name),
            Form::List(inner) => write!(f, "Vec<{inner}>"),
            Form::Set(inner) => write!(f, "a set of {inner}"),
            Form::Array(inner, length) => write!(f, "[{inner}; {length}]"),
            Form::Map(key, value) => write!(f, "a map of {key} to {value}"),
            Form::Optional(inner) => write!(f, "Option<{inner}>"),
            Form::Tuple(items) => {
                f.write_str("(")?;
                join(f, items)?;
                f.write_str(")")
            }
            Form::Stream(item) => write!(f, "Stream<{item}>"),
            Form::Outcome(value, error) => write!(f, "Result<{value}, {error}>"),
            Form::Handle(authority) => write!(f, "{authority}"),
            Form::Object { name, .. } => write!(f, "an object with {name}"),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.form, if self.many { ", any number of them" } else { "" })
    }
}

/// Formats a type for comparison. Each path is reduced to its last segment.
fn type_text(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string().replace(' ', "");
    let ends = |c: char| "<>(),;[]&".contains(c);
    let words = text.split_inclusive(ends);
    words.map(|word| word.rsplit("::").next().unwrap_or(word)).collect()
}

/// The types without members.
const PLAIN: [&str; 29] = [
    "bool",
    "char",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "String",
    "PathBuf",
    "OsString",
    "Guid",
    "Duration",
    "SystemTime",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
    "str",
    "Path",
    "OsStr",
];

/// Maximum nesting depth at which type names are resolved. Hand-written files need only a few
/// levels.
const DEPTH_MAX: usize = 64;
