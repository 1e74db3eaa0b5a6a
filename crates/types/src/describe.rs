//! Run-time descriptions of interfaces, for tools.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Declaration, Guid};

/// An interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// IID of the interface.
    pub iid: Guid,
    /// Name of the trait.
    pub name: &'static str,
    /// Documentation of the trait.
    pub docs: &'static str,
    /// Whether the interface is private to syshandle. Its COM layout may then differ from an `.idl`
    /// file's, because all callers and servers use the tables of this description.
    pub is_private: bool,
    /// Methods. The number of a method is its index.
    pub methods: &'static [Method],
}

/// A method of an interface.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Name of the method.
    pub name: &'static str,
    /// Documentation of the method.
    pub docs: &'static str,
    /// Parameters.
    pub parameters: &'static [Parameter],
    /// Result.
    pub result: Parameter,
    /// The method's error type, if it has one of its own.
    pub error: Option<Type>,
    /// Whether the method is declared as blocking. A server runs it on a worker thread from the
    /// start.
    pub blocking: bool,
    /// The reason why the COM layout differs from the one in the `.idl` file; `None` if it doesn't.
    pub differs: Option<&'static str>,
}

/// A parameter, a result, or a field.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name; empty for a result.
    pub name: &'static str,
    /// Type.
    pub ty: Type,
    /// The declaration of the handles in the value, in addition to their types.
    pub handle: Option<Declaration>,
}

impl Parameter {
    /// Describes a parameter at compile time.
    ///
    /// # Panics
    /// Fails to compile if the declaration contradicts the type: `#[handle(pipe)]` before a `File`,
    /// or before a number. In a user-defined type, which may refer to itself, only the call detects
    /// the contradiction.
    #[track_caller]
    pub const fn new(name: &'static str, ty: Type, handle: Option<Declaration>) -> Self {
        if let Some(declared) = &handle {
            let fault = ty.contradiction(declared);
            if let Some(fault) = fault {
                panic!("{}", fault);
            }
            assert!(ty.may_hold_handles(), "the attribute declares a handle and the type has none");
        }
        Self { name, ty, handle }
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Type {
    /// A type of Rust's standard library, by name: `u32`, `String`.
    Plain(&'static str),
    /// A handle.
    Handle {
        /// Name of the type.
        name: &'static str,
        /// The declaration that applies to a parameter of this type without one of its own.
        declared: Declaration,
    },
    /// An optional value.
    Option(&'static Type),
    /// A value or an error.
    Result(&'static Type, &'static Type),
    /// A list of any length.
    List(&'static Type),
    /// An array of fixed length.
    Array(&'static Type, usize),
    /// A map.
    Map(&'static Type, &'static Type),
    /// A set.
    Set(&'static Type),
    /// A tuple.
    Tuple(&'static [Type]),
    /// A user-defined type. It may refer to itself, so a function returns its definition.
    Named {
        /// Name of the type.
        name: &'static str,
        /// Documentation of the type.
        docs: &'static str,
        /// Returns the definition.
        definition: fn() -> Definition,
    },
    /// A reference to an object of this interface, whose methods may pass such references
    /// themselves.
    Object(fn() -> &'static Interface),
    /// A value that is encoded by serde; the function returns the name of its type.
    Serde(fn() -> &'static str),
}

impl Type {
    /// Returns the reason why no handle in a value of this type can meet the declaration, if so.
    const fn contradiction(&self, declared: &Declaration) -> Option<&'static str> {
        match self {
            Self::Handle { declared: of_type, .. } => declared.and(*of_type).contradiction(),
            Self::Option(inner) | Self::List(inner) | Self::Array(inner, _) | Self::Set(inner) => {
                inner.contradiction(declared)
            }
            Self::Result(a, b) | Self::Map(a, b) => match a.contradiction(declared) {
                None => b.contradiction(declared),
                fault => fault,
            },
            Self::Tuple(parts) => {
                let mut i = 0;
                while i < parts.len() {
                    let fault = parts[i].contradiction(declared);
                    if fault.is_some() {
                        return fault;
                    }
                    i += 1;
                }
                None
            }
            Self::Plain(_) | Self::Named { .. } | Self::Object(_) | Self::Serde(_) => None,
        }
    }

    /// Returns whether a value of this type may contain handles. A user-defined type is assumed to.
    const fn may_hold_handles(&self) -> bool {
        match self {
            Self::Handle { .. } | Self::Named { .. } => true,
            Self::Option(inner) | Self::List(inner) | Self::Array(inner, _) | Self::Set(inner) => {
                inner.may_hold_handles()
            }
            Self::Result(a, b) | Self::Map(a, b) => a.may_hold_handles() || b.may_hold_handles(),
            Self::Tuple(parts) => {
                let mut i = 0;
                while i < parts.len() {
                    if parts[i].may_hold_handles() {
                        return true;
                    }
                    i += 1;
                }
                false
            }
            Self::Plain(_) | Self::Object(_) | Self::Serde(_) => false,
        }
    }
}

/// The definition of a user-defined type.
#[derive(Clone, Copy, Debug)]
pub enum Definition {
    /// A struct with these fields.
    Struct(&'static [Parameter]),
    /// An enum with these variants.
    Enum(&'static [Variant]),
}

/// A variant of an enum. Its number on the wire is its index.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Name of the variant.
    pub name: &'static str,
    /// Discriminant in Rust, which is the value in COM: as written (`Busy = 5`), or one more than
    /// the previous variant's.
    pub value: i64,
    /// Fields of the variant.
    pub fields: &'static [Parameter],
}

/// A type with a description. Can be derived together with [`Encode`](crate::Encode).
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter or result of an interface",
    note = "for a type of your own write `#[derive(syshandle::Encode, syshandle::Decode)]`",
    note = "a type that only knows serde travels as `syshandle::Serde<T>` (feature `serde` of syshandle)"
)]
pub trait Describe {
    /// Description of the type.
    const TYPE: Type;
}

macro_rules! plain {
    ($($type:ty),+ $(,)?) => {$(
        impl Describe for $type {
            const TYPE: Type = Type::Plain(stringify!($type));
        }
    )+};
}
plain!((), bool, char, f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);
plain!(String, Guid, Duration, PathBuf);

impl<T: Describe> Describe for Option<T> {
    const TYPE: Type = Type::Option(&T::TYPE);
}

impl<T: Describe, E: Describe> Describe for Result<T, E> {
    const TYPE: Type = Type::Result(&T::TYPE, &E::TYPE);
}

impl<T: Describe> Describe for Box<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Describe> Describe for Arc<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Describe> Describe for Vec<T> {
    const TYPE: Type = Type::List(&T::TYPE);
}

impl<T: Describe, const N: usize> Describe for [T; N] {
    const TYPE: Type = Type::Array(&T::TYPE, N);
}

impl<K: Describe, V: Describe> Describe for BTreeMap<K, V> {
    const TYPE: Type = Type::Map(&K::TYPE, &V::TYPE);
}

impl<K: Describe, V: Describe, S> Describe for HashMap<K, V, S> {
    const TYPE: Type = Type::Map(&K::TYPE, &V::TYPE);
}

impl<T: Describe> Describe for BTreeSet<T> {
    const TYPE: Type = Type::Set(&T::TYPE);
}

impl<T: Describe, S> Describe for HashSet<T, S> {
    const TYPE: Type = Type::Set(&T::TYPE);
}

macro_rules! tuple {
    ($($name:ident),+) => {
        impl<$($name: Describe),+> Describe for ($($name,)+) {
            const TYPE: Type = Type::Tuple(&[$($name::TYPE),+]);
        }
    };
}
tuple!(A);
tuple!(A, B);
tuple!(A, B, C);
tuple!(A, B, C, D);
tuple!(A, B, C, D, E);
tuple!(A, B, C, D, E, F);
tuple!(A, B, C, D, E, F, G);
tuple!(A, B, C, D, E, F, G, H);
