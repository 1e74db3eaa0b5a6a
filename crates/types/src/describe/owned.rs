//! Descriptions that own their contents, which one process can send to another.
//!
//! The description of a trait, [`describe::Interface`](super::Interface), refers to its types by
//! functions, because a type may contain itself. A [`Description`] has a table of types instead,
//! and refers to them by index.

use std::collections::HashMap;
use std::fmt;

use super::{Bounds, Definition, Growth, Interface, Method, Parameter, Type, Variant};
use crate::{Declaration, Guid};

/// The description of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// IID of the interface.
    pub iid: Guid,
    /// Name of the trait.
    pub name: String,
    /// Documentation of the trait.
    pub docs: String,
    /// Methods. The number of a method is its index.
    pub methods: Vec<DescribedMethod>,
    /// The user-defined types to which [`DescribedType::Named`] refers.
    pub types: Vec<NamedType>,
}

/// A method of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribedMethod {
    /// Name of the method.
    pub name: String,
    /// Documentation of the method.
    pub docs: String,
    /// Parameters.
    pub parameters: Vec<DescribedValue>,
    /// Result, as a value without a name.
    pub result: DescribedValue,
    /// Error type that the method declares, if any.
    pub error: Option<DescribedType>,
    /// Whether the method is declared as blocking.
    pub blocking: bool,
    /// Whether the method is declared as one-way.
    pub one_way: bool,
}

/// A parameter, a result, or a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribedValue {
    /// Name; empty for a result.
    pub name: String,
    /// Type.
    pub ty: DescribedType,
    /// Declaration for the handles in the value, which applies in addition to the declarations of
    /// their types.
    pub handle: Option<Declaration>,
    /// Whether a growable struct has the field since its first version.
    pub growth: Growth,
    /// Documentation; empty for a result.
    pub docs: String,
    /// Bounds of the value, if the interface declares any.
    pub bounds: Option<Bounds>,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescribedType {
    /// A type of the standard library without a variant of its own, by name: `u32`, `String`.
    Plain(String),
    /// A handle.
    Handle {
        /// Name of the Rust type.
        name: String,
        /// The declaration of the type, which applies in addition to one of the parameter.
        declared: Declaration,
    },
    /// An optional value.
    Option(Box<DescribedType>),
    /// A value or an error.
    Result(Box<DescribedType>, Box<DescribedType>),
    /// A list of any length.
    List(Box<DescribedType>),
    /// An array of fixed length.
    Array(Box<DescribedType>, u64),
    /// A map.
    Map(Box<DescribedType>, Box<DescribedType>),
    /// A set.
    Set(Box<DescribedType>),
    /// A tuple.
    Tuple(Vec<DescribedType>),
    /// The user-defined type with this index in [`Description::types`].
    Named(u32),
    /// A reference to an object with this interface.
    Object {
        /// IID of the interface.
        iid: Guid,
        /// Name of the interface.
        name: String,
        /// Hash of the interface's description, and 0 if it is unknown.
        hash: u64,
    },
    /// A value that serde encodes. The name is the name of its Rust type.
    Serde(String),
    /// A stream of items of this type.
    Stream(Box<DescribedType>),
    /// A type that this version does not know, with the number of its kind on the wire.
    Unknown(u8),
}

/// A user-defined type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedType {
    /// Name of the type.
    pub name: String,
    /// Documentation of the type.
    pub docs: String,
    /// Whether later versions of the type may have more fields or variants. The encoding of such a
    /// type begins with its size.
    pub grows: bool,
    /// The contents of the type.
    pub form: TypeForm,
}

/// The contents of a user-defined type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeForm {
    /// A struct with these fields.
    Struct(Vec<DescribedValue>),
    /// An enum with these variants.
    Enum(Vec<DescribedVariant>),
    /// A form that this version does not know, with its number on the wire.
    Unknown(u8),
}

/// A variant of an enum. Its index in the enum is its number on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribedVariant {
    /// Name of the variant.
    pub name: String,
    /// Documentation of the variant.
    pub docs: String,
    /// Discriminant in Rust, which is the value in COM.
    pub value: i64,
    /// Fields of the variant.
    pub fields: Vec<DescribedValue>,
}

impl Description {
    /// Maximum nesting depth of a type, apart from user-defined types. A deeper part of a type is
    /// [`DescribedType::Unknown`].
    pub const DEPTH_MAX: u32 = 32;

    /// Number of the kind of a part of a type that is nested too deeply.
    pub(super) const TOO_DEEP: u8 = u8::MAX;

    /// Describes an interface. The hashes of the interfaces of its objects are 0. Also returns these
    /// interfaces, each once.
    pub(super) fn with_objects(interface: &Interface) -> (Self, Vec<&'static Interface>) {
        let mut table = TypeTable::default();
        let methods = interface.methods.iter().map(|method| table.method(method)).collect();
        // Describing a definition may add more types.
        let mut types = Vec::new();
        while let Some(&FoundType { name, docs, definition }) = table.types.get(types.len()) {
            let definition = definition();
            let form = match definition {
                Definition::Struct(fields) | Definition::GrowableStruct(fields) => {
                    TypeForm::Struct(table.values(fields))
                }
                Definition::Enum(variants) | Definition::GrowableEnum { variants, .. } => {
                    TypeForm::Enum(variants.iter().map(|variant| table.variant(variant)).collect())
                }
            };
            let grows = definition.is_growable();
            types.push(NamedType { name: name.into(), docs: docs.into(), grows, form });
        }
        let mut description = Self {
            iid: interface.iid,
            name: interface.name.into(),
            docs: interface.docs.into(),
            methods,
            types,
        };
        description.merge_equal_types();
        (description, table.objects)
    }

    /// Returns the number of the method with this name.
    pub fn method(&self, name: &str) -> Option<u32> {
        self.methods.iter().position(|method| method.name == name).map(|number| number as u32)
    }

    /// Returns the type as text, in Rust's notation.
    pub fn type_text(&self, ty: &DescribedType) -> String {
        TypeText { types: &self.types, ty }.to_string()
    }

    /// Calls `change` for each type in the description.
    pub(super) fn for_each_type(&mut self, mut change: impl FnMut(&mut DescribedType)) {
        for method in &mut self.methods {
            let values = method.parameters.iter_mut().chain([&mut method.result]);
            values.for_each(|value| value.ty.walk(&mut change));
            method.error.iter_mut().for_each(|error| error.walk(&mut change));
        }
        for ty in &mut self.types {
            match &mut ty.form {
                TypeForm::Struct(fields) => {
                    fields.iter_mut().for_each(|field| field.ty.walk(&mut change));
                }
                TypeForm::Enum(variants) => {
                    let fields = variants.iter_mut().flat_map(|variant| &mut variant.fields);
                    fields.for_each(|field| field.ty.walk(&mut change));
                }
                TypeForm::Unknown(_) => {}
            }
        }
    }

    /// Removes types from the table that equal an earlier one. The compiler may make several copies
    /// of the function that defines a type, which the description takes for several types. The table,
    /// and so the hash, must not depend on that.
    fn merge_equal_types(&mut self) {
        let classes = self.type_classes();
        let mut first = HashMap::new();
        let mut kept = Vec::new();
        let mut places = Vec::new();
        for (index, class) in classes.iter().enumerate() {
            let place = *first.entry(*class).or_insert_with(|| {
                kept.push(index);
                kept.len() as u32 - 1
            });
            places.push(place);
        }
        if kept.len() == places.len() {
            return;
        }
        let mut index = 0;
        self.types.retain(|_| {
            index += 1;
            kept.binary_search(&(index - 1)).is_ok()
        });
        self.for_each_type(|ty| {
            if let DescribedType::Named(index) = ty {
                *index = places[*index as usize];
            }
        });
    }
}

impl DescribedType {
    /// Returns whether the type is a stream, or an `Option` or a tuple with one.
    pub fn has_stream(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::Option(inner) => inner.has_stream(),
            Self::Tuple(parts) => parts.iter().any(Self::has_stream),
            _ => false,
        }
    }

    /// Calls `change` for the type and for each type in it.
    fn walk(&mut self, change: &mut impl FnMut(&mut Self)) {
        change(self);
        match self {
            Self::Option(inner)
            | Self::List(inner)
            | Self::Array(inner, _)
            | Self::Set(inner)
            | Self::Stream(inner) => inner.walk(change),
            Self::Result(one, other) | Self::Map(one, other) => {
                one.walk(change);
                other.walk(change);
            }
            Self::Tuple(parts) => parts.iter_mut().for_each(|part| part.walk(change)),
            Self::Plain(_)
            | Self::Handle { .. }
            | Self::Named(_)
            | Self::Object { .. }
            | Self::Serde(_)
            | Self::Unknown(_) => {}
        }
    }
}

/// A user-defined type of an interface.
#[derive(Clone, Copy)]
struct FoundType {
    name: &'static str,
    docs: &'static str,
    definition: fn() -> Definition,
}

/// The user-defined types of an interface that were found so far.
#[derive(Default)]
struct TypeTable {
    types: Vec<FoundType>,
    /// The index of each type, by its name and by the address of the function that defines it.
    indices: HashMap<(&'static str, usize), u32>,
    /// The interfaces of objects.
    objects: Vec<&'static Interface>,
}

impl TypeTable {
    fn method(&mut self, method: &Method) -> DescribedMethod {
        DescribedMethod {
            name: method.name.into(),
            docs: method.docs.into(),
            parameters: self.values(method.parameters),
            result: self.value(&method.result),
            error: method.error.as_ref().map(|error| self.ty(error, 0)),
            blocking: method.blocking,
            one_way: method.one_way,
        }
    }

    fn variant(&mut self, variant: &Variant) -> DescribedVariant {
        let Variant { name, docs, value, fields } = *variant;
        let (name, docs) = (name.into(), docs.into());
        DescribedVariant { name, docs, value, fields: self.values(fields) }
    }

    fn values(&mut self, values: &[Parameter]) -> Vec<DescribedValue> {
        values.iter().map(|value| self.value(value)).collect()
    }

    fn value(&mut self, value: &Parameter) -> DescribedValue {
        DescribedValue {
            name: value.name.into(),
            ty: self.ty(&value.ty, 0),
            handle: value.handle,
            growth: value.growth,
            docs: value.docs.into(),
            bounds: value.bounds,
        }
    }

    fn ty(&mut self, ty: &Type, depth: u32) -> DescribedType {
        if depth == Description::DEPTH_MAX {
            return DescribedType::Unknown(Description::TOO_DEEP);
        }
        let mut inner = |ty: &Type| Box::new(self.ty(ty, depth + 1));
        match ty {
            Type::Plain(name) => DescribedType::Plain((*name).into()),
            Type::Handle { name, declared } => {
                DescribedType::Handle { name: (*name).into(), declared: *declared }
            }
            Type::Option(ty) => DescribedType::Option(inner(ty)),
            Type::Result(value, error) => DescribedType::Result(inner(value), inner(error)),
            Type::List(item) => DescribedType::List(inner(item)),
            Type::Array(item, len) => DescribedType::Array(inner(item), *len as u64),
            Type::Map(key, value) => DescribedType::Map(inner(key), inner(value)),
            Type::Set(item) => DescribedType::Set(inner(item)),
            Type::Tuple(parts) => {
                DescribedType::Tuple(parts.iter().map(|part| self.ty(part, depth + 1)).collect())
            }
            Type::Named { name, docs, definition } => {
                let index =
                    *self.indices.entry((name, *definition as usize)).or_insert_with(|| {
                        self.types.push(FoundType { name, docs, definition: *definition });
                        self.types.len() as u32 - 1
                    });
                DescribedType::Named(index)
            }
            Type::Object(interface) => {
                let interface = interface();
                if self.objects.iter().all(|known| known.iid != interface.iid) {
                    self.objects.push(interface);
                }
                let Interface { iid, name, .. } = *interface;
                DescribedType::Object { iid, name: name.into(), hash: 0 }
            }
            Type::Serde(name) => DescribedType::Serde(name().into()),
            Type::Stream(item) => DescribedType::Stream(inner(item)),
        }
    }
}

/// Displays a type in Rust's notation.
struct TypeText<'d> {
    types: &'d [NamedType],
    ty: &'d DescribedType,
}

impl fmt::Display for TypeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |ty| TypeText { types: self.types, ty };
        match self.ty {
            DescribedType::Plain(name) | DescribedType::Handle { name, .. } => f.write_str(name),
            DescribedType::Option(inner) => write!(f, "Option<{}>", part(inner)),
            DescribedType::Result(value, error) => {
                write!(f, "Result<{}, {}>", part(value), part(error))
            }
            DescribedType::List(item) => write!(f, "Vec<{}>", part(item)),
            DescribedType::Array(item, len) => write!(f, "[{}; {len}]", part(item)),
            DescribedType::Map(key, value) => write!(f, "Map<{}, {}>", part(key), part(value)),
            DescribedType::Set(item) => write!(f, "Set<{}>", part(item)),
            DescribedType::Tuple(parts) => {
                f.write_str("(")?;
                for (index, ty) in parts.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", part(ty))?;
                }
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
            DescribedType::Named(index) => match self.types.get(*index as usize) {
                Some(named) => f.write_str(&named.name),
                None => write!(f, "type {index}"),
            },
            DescribedType::Object { name, .. } => write!(f, "{name}Client"),
            DescribedType::Serde(name) => write!(f, "Serde<{name}>"),
            DescribedType::Stream(item) => write!(f, "Stream<{}>", part(item)),
            DescribedType::Unknown(kind) => write!(f, "a type of the unknown kind {kind}"),
        }
    }
}
