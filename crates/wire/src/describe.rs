//! What an interface is, for tools to read at run time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syshandle_os::Declared;

use crate::Guid;

/// An interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Its identifier.
    pub iid: Guid,
    /// The name of its trait.
    pub name: &'static str,
    /// Its documentation.
    pub docs: &'static str,
    /// Declared private to syshandle: its COM layout may differ from an `.idl` file's, because all
    /// callers and servers have the tables of this description.
    pub is_private: bool,
    /// Its methods; a method's number is its place here.
    pub methods: &'static [Method],
}

/// A method of an interface.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Its documentation.
    pub docs: &'static str,
    /// What the client passes.
    pub parameters: &'static [Parameter],
    /// What it returns.
    pub result: Parameter,
    /// Its own error, where it has a type for it.
    pub error: Option<Type>,
    /// Whether it is declared to block: a server runs it on a worker thread from the start.
    pub blocking: bool,
    /// Says why its COM layout differs from the one that its `.idl` file declares, if it does.
    pub differs: Option<&'static str>,
}

/// A parameter, a result, or a field.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name; empty for a result.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// What it declares of the handles in it, beyond what their types say.
    pub handle: Option<Declared>,
}

impl Parameter {
    /// Describes a parameter, when its program is compiled.
    ///
    /// # Panics
    /// And so fails to compile, if what is declared contradicts the type: `#[handle(pipe)]` before
    /// a `File`, or before a number. In a type of the user's, which may refer to itself, only the
    /// call finds it out.
    #[track_caller]
    pub const fn new(name: &'static str, ty: Type, handle: Option<Declared>) -> Self {
        if let Some(declared) = &handle {
            let fault = ty.contradiction(declared);
            if let Some(fault) = fault {
                panic!("{}", fault);
            }
            assert!(
                ty.may_hold_handles(),
                "what is declared here of a handle has none in its type"
            );
        }
        Self { name, ty, handle }
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Type {
    /// One of Rust's own, by its name: `u32`, `String`.
    Plain(&'static str),
    /// A handle, and what its type declares.
    Handle {
        /// The name of the type.
        name: &'static str,
        /// What a parameter of this type is unless it declares otherwise.
        declared: Declared,
    },
    /// A value or none.
    Option(&'static Type),
    /// A value or an error.
    Result(&'static Type, &'static Type),
    /// Any number of values.
    List(&'static Type),
    /// So many values.
    Array(&'static Type, usize),
    /// Values by key.
    Map(&'static Type, &'static Type),
    /// Values, none twice.
    Set(&'static Type),
    /// Values of different types.
    Tuple(&'static [Type]),
    /// A type of the user's. It may refer to itself, so it is defined by a function.
    Named {
        /// Its name.
        name: &'static str,
        /// Its documentation.
        docs: &'static str,
        /// What it consists of.
        definition: fn() -> Definition,
    },
    /// A reference to an object: its interface, which may pass references to such objects itself.
    Object(fn() -> &'static Interface),
    /// A value of a type that only serde knows: its name.
    Serde(fn() -> &'static str),
}

impl Type {
    /// Why no handle in a value of this type meets the declaration, if that is so.
    const fn contradiction(&self, declared: &Declared) -> Option<&'static str> {
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

    /// Whether a handle may be in a value of this type; in one of the user's there may.
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

/// What a type of the user's consists of.
#[derive(Clone, Copy, Debug)]
pub enum Definition {
    /// All of these fields.
    Struct(&'static [Parameter]),
    /// One of these variants.
    Enum(&'static [Variant]),
}

/// A variant of an enum; its number on the wire is its place.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// Its value in Rust, which COM knows it by: written (`Busy = 5`), or one more than that of the
    /// variant before.
    pub value: i64,
    /// Its fields.
    pub fields: &'static [Parameter],
}

/// A type that says what it is. Derived with [`Encode`](crate::Encode).
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter or result of an interface",
    note = "for a type of your own write `#[derive(syshandle::Encode, syshandle::Decode)]`",
    note = "a type that only knows serde travels as `syshandle::Serde<T>`"
)]
pub trait Describe {
    /// The type.
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
