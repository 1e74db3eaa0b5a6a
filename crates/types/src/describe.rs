//! Descriptions of interfaces at run time, for tools, and the types in the methods of clients.
//!
//! A server's method owns its parameters, and a client's method borrows them. [`Describe`] decides
//! how a type is lent, so an alias of the type makes no difference, and neither does another type
//! with the same name:
//!
//! | parameter `T` | [`Argument<'_, T>`](Argument) |
//! |---|---|
//! | `bool`, `char`, integers and floating-point numbers | `T` |
//! | `String` | `&str` |
//! | `Vec<U>` | `&[U]` |
//! | `PathBuf` | `&Path` |
//! | `Option<U>` | an `Option` of the argument for `U`: `Option<&str>`, `Option<&File>` |
//! | `Box<U>`, `Arc<U>` | the argument for `U` |
//! | other types: handles, clients, structs, enums, tuples, arrays, maps, `Duration` … | `&T` |
//!
//! A client owns the results that it gets. They have the declared type, except for `Arc<U>`: only
//! the server keeps the value as well, so the client gets a `U`, and an `Option<U>` for an
//! `Option<Arc<U>>`. [`Output<T>`](Output) is that type.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Declaration, Guid};

/// An interface.
// Exhaustive: code that macros generate in other crates makes it.
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
// Exhaustive: code that macros generate in other crates makes it.
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
// Exhaustive: code that macros generate in other crates makes it.
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
// Exhaustive: code that macros generate in other crates makes it.
#[derive(Clone, Copy, Debug)]
pub enum Definition {
    /// A struct with these fields.
    Struct(&'static [Parameter]),
    /// An enum with these variants.
    Enum(&'static [Variant]),
}

/// A variant of an enum. Its number on the wire is its index.
// Exhaustive: code that macros generate in other crates makes it.
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

/// A type that can be a parameter or a result. Can be derived together with
/// [`Encode`](crate::Encode): a client then passes a reference to a value, and gets a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter or result of an interface",
    note = "for a type of your own write `#[derive(syshandle::Encode, syshandle::Decode)]`",
    note = "a type that only knows serde travels as `syshandle::Serde<T>` (feature `serde` of syshandle)"
)]
pub trait Describe {
    /// Description of the type.
    const TYPE: Type;

    /// The type that a client passes for a parameter of this type, with the same encoding. For most
    /// types it is `&'a Self`.
    type Argument<'a>
    where
        Self: 'a;

    /// The type that a client gets for a result of this type, with the same encoding. For most types
    /// it is `Self`.
    type Output;
}

/// The type that a client passes for a parameter of type `T`. The [module](self) lists these types.
pub type Argument<'a, T> = <T as Describe>::Argument<'a>;

/// The type that a client gets for a result of type `T`: `T`, or `U` if `T` is `Arc<U>`.
pub type Output<T> = <T as Describe>::Output;

macro_rules! plain {
    ($($type:ty => $argument:ty),+ $(,)?) => {$(
        impl Describe for $type {
            const TYPE: Type = Type::Plain(stringify!($type));
            type Argument<'a> = $argument;
            type Output = Self;
        }
    )+};
}
plain! {
    bool => Self, char => Self, f32 => Self, f64 => Self,
    i8 => Self, i16 => Self, i32 => Self, i64 => Self, i128 => Self, isize => Self,
    u8 => Self, u16 => Self, u32 => Self, u64 => Self, u128 => Self, usize => Self,
    () => &'a Self, Guid => &'a Self, Duration => &'a Self,
    String => &'a str, PathBuf => &'a Path,
}

impl<T: Describe> Describe for Option<T> {
    const TYPE: Type = Type::Option(&T::TYPE);
    type Argument<'a>
        = Option<T::Argument<'a>>
    where
        Self: 'a;
    type Output = Option<T::Output>;
}

impl<T: Describe> Describe for Box<T> {
    const TYPE: Type = T::TYPE;
    type Argument<'a>
        = T::Argument<'a>
    where
        Self: 'a;
    type Output = Self;
}

impl<T: Describe> Describe for Arc<T> {
    const TYPE: Type = T::TYPE;
    type Argument<'a>
        = T::Argument<'a>
    where
        Self: 'a;
    type Output = T::Output;
}

impl<T: Describe> Describe for Vec<T> {
    const TYPE: Type = Type::List(&T::TYPE);
    type Argument<'a>
        = &'a [T]
    where
        Self: 'a;
    type Output = Self;
}

/// Implements the trait for types that a client passes by reference.
macro_rules! by_reference {
    ($([$($generics:tt)*] $type:ty => $description:expr),+ $(,)?) => {$(
        impl<$($generics)*> Describe for $type {
            const TYPE: Type = $description;
            type Argument<'a>
                = &'a Self
            where
                Self: 'a;
            type Output = Self;
        }
    )+};
}
by_reference! {
    [T: Describe, const N: usize] [T; N] => Type::Array(&T::TYPE, N),
    [T: Describe, E: Describe] Result<T, E> => Type::Result(&T::TYPE, &E::TYPE),
    [K: Describe, V: Describe] BTreeMap<K, V> => Type::Map(&K::TYPE, &V::TYPE),
    [K: Describe, V: Describe, S] HashMap<K, V, S> => Type::Map(&K::TYPE, &V::TYPE),
    [T: Describe] BTreeSet<T> => Type::Set(&T::TYPE),
    [T: Describe, S] HashSet<T, S> => Type::Set(&T::TYPE),
}

macro_rules! tuple {
    ($($name:ident),+) => {
        by_reference! { [$($name: Describe),+] ($($name,)+) => Type::Tuple(&[$($name::TYPE),+]) }
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
