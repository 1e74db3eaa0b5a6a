//! Descriptions of interfaces at run time, and the types of the parameters and results of client
//! methods.
//!
//! A server's method owns its parameters, and a client's method borrows them. [`Describe`] selects
//! the borrowed type, so an alias of `String` is borrowed like `String`, and an unrelated type of
//! the same name is not:
//!
//! | parameter `T` | [`Argument<'_, T>`](Argument) |
//! |---|---|
//! | `bool`, `char`, numbers, `NonZeroU32` and its kin | `T` |
//! | `String` | `&str` |
//! | `Vec<U>` | `&[U]` |
//! | `PathBuf`, `OsString` | `&Path`, `&OsStr` |
//! | `Option<U>` | an `Option` of the argument for `U`: `Option<&str>`, `Option<&File>` |
//! | `Box<U>`, `Arc<U>` | the argument for `U` |
//! | a stream | `T`, because the call takes it |
//! | other types: handles, clients, structs, enums, tuples, arrays, maps, `Duration`, `SystemTime`, `IpAddr` … | `&T` |
//!
//! A client owns its results. A result has its declared type, except that [`Output<T>`](Output)
//! replaces `Arc<U>` by `U`, and `Option<Arc<U>>` by `Option<U>`: an `Arc` lets a server keep the
//! value that it returns, which a client does not need.

pub mod compatibility;
mod description_bytes;
mod hash;
pub mod owned;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::description_bytes::DescriptionError;
use crate::{Declaration, Guid};

/// An interface.
// Not `non_exhaustive`, because generated code in other crates constructs it.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// IID of the interface.
    pub iid: Guid,
    /// Name of the trait.
    pub name: &'static str,
    /// Documentation of the trait.
    pub docs: &'static str,
    /// Whether the interface is private to syshandle. All clients and servers of a private
    /// interface use this description, so its COM layout may differ from the `.idl` file.
    pub is_private: bool,
    /// Methods. The number of a method is its index.
    pub methods: &'static [Method],
}

/// A method of an interface.
// Not `non_exhaustive`, because generated code in other crates constructs it.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Name of the method.
    pub name: &'static str,
    /// Documentation of the method.
    pub docs: &'static str,
    /// Parameters.
    pub parameters: &'static [Parameter],
    /// Result, as a parameter without a name.
    pub result: Parameter,
    /// Error type that the method declares, if any.
    pub error: Option<Type>,
    /// Whether the method is declared as blocking. A server runs it on a worker thread from the
    /// start.
    pub blocking: bool,
    /// Whether the method is declared as one-way: its callers do not wait for its end.
    pub one_way: bool,
    /// The reason why the COM layout differs from the one in the `.idl` file; `None` if it does
    /// not.
    pub differs: Option<&'static str>,
}

/// A parameter, a result, or a field.
// Not `non_exhaustive`, because generated code in other crates constructs it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name; empty for a result.
    pub name: &'static str,
    /// Rust type.
    pub ty: Type,
    /// Declaration for the handles in the value, which applies in addition to the declarations of
    /// their types.
    pub handle: Option<Declaration>,
    /// Whether a growable struct has the field since its first version.
    pub growth: Growth,
    /// Documentation; empty for a result.
    pub docs: &'static str,
    /// Bounds of the value, if the interface declares any.
    pub bounds: Option<Bounds>,
}

/// The bounds that an interface declares for a value: `#[range(1..=10)]`. Both are inclusive. They
/// limit a number, the number of items of a list, the length of a text in UTF-16 units, or the
/// discriminant of an enum without fields. An absent optional value has no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The minimum.
    pub from: i128,
    /// The maximum.
    pub to: i128,
}

impl Bounds {
    /// Returns whether a number is within the bounds.
    pub const fn contains(self, number: i128) -> bool {
        self.from <= number && number <= self.to
    }

    /// Returns whether some number is within both bounds.
    pub const fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.from, self.to)
    }
}

/// Whether a field is part of the first version of its struct.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// Every version has the field. Also the value for parameters, results, and fields of types
    /// that can't grow.
    #[default]
    Original,
    /// A later version of a growable struct added the field. A reader that doesn't know the field
    /// ignores its value.
    Added,
    /// A later version of a growable struct added the field. A reader that doesn't know the field
    /// refuses a message in which its value differs from the default.
    Required,
}

impl Parameter {
    /// Describes a field that a later version of its struct added.
    #[must_use]
    pub const fn added(self, growth: Growth) -> Self {
        Self { growth, ..self }
    }

    /// Adds the documentation of a parameter or field.
    #[must_use]
    pub const fn documented(self, docs: &'static str) -> Self {
        Self { docs, ..self }
    }

    /// Adds the bounds of a parameter or field.
    #[must_use]
    pub const fn within(self, from: i128, to: i128) -> Self {
        Self { bounds: Some(Bounds { from, to }), ..self }
    }

    /// Describes a parameter. Meant for constants.
    ///
    /// # Panics
    /// The declaration contradicts the type: `#[handle(pipe)]` before a `File`, or before a number.
    /// In a constant this is a compile error. Contradictions inside a user-defined type are
    /// detected only when the method is called, because such a type may refer to itself.
    #[track_caller]
    pub const fn new(name: &'static str, ty: Type, handle: Option<Declaration>) -> Self {
        if let Some(fault) = ty.misplaced_stream() {
            panic!("{}", fault);
        }
        if let Some(declared) = &handle {
            let fault = ty.contradiction(declared);
            if let Some(fault) = fault {
                panic!("{}", fault);
            }
            assert!(ty.may_hold_handles(), "the attribute declares a handle and the type has none");
        }
        Self { name, ty, handle, growth: Growth::Original, docs: "", bounds: None }
    }

    /// Describes a field of a user-defined type. Meant for constants.
    ///
    /// # Panics
    /// The declaration contradicts the type, as in [`Parameter::new`], or the field is a stream.
    #[track_caller]
    pub const fn field(name: &'static str, ty: Type, handle: Option<Declaration>) -> Self {
        assert!(!ty.has_stream(), "{}", MISPLACED_STREAM);
        Self::new(name, ty, handle)
    }
}

/// The error of a stream in a place where none can be.
const MISPLACED_STREAM: &str = "a stream is a parameter or a result, or a part of an `Option` or a \
                                tuple there: it can't be a part of another type";

/// The type of a value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Type {
    /// A type of the standard library without a variant of its own, by name: `u32`, `String`.
    Plain(&'static str),
    /// A handle.
    Handle {
        /// Name of the type.
        name: &'static str,
        /// The declaration of the type, which applies in addition to one of the parameter.
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
    /// A user-defined type. A function returns the definition, because the type may refer to
    /// itself.
    Named {
        /// Name of the type.
        name: &'static str,
        /// Documentation of the type.
        docs: &'static str,
        /// Returns the definition.
        definition: fn() -> Definition,
    },
    /// A reference to an object with this interface. A function returns the interface, because its
    /// methods may take or return references of the same type.
    Object(fn() -> &'static Interface),
    /// A value that serde encodes. The function returns the name of its type.
    Serde(fn() -> &'static str),
    /// A stream of items of this type. Only a parameter or a result can be a stream, or a part of an
    /// `Option` or a tuple there.
    Stream(&'static Type),
}

impl Type {
    /// Returns the reason why no handle in a value of this type can match the declaration, or
    /// `None`.
    const fn contradiction(&self, declared: &Declaration) -> Option<&'static str> {
        match self {
            Self::Handle { declared: of_type, .. } => declared.and(*of_type).contradiction(),
            Self::Option(inner)
            | Self::List(inner)
            | Self::Array(inner, _)
            | Self::Set(inner)
            | Self::Stream(inner) => inner.contradiction(declared),
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

    /// Returns whether a value of this type may contain handles. Returns `true` for every
    /// user-defined type.
    const fn may_hold_handles(&self) -> bool {
        match self {
            Self::Handle { .. } | Self::Named { .. } => true,
            Self::Option(inner)
            | Self::List(inner)
            | Self::Array(inner, _)
            | Self::Set(inner)
            | Self::Stream(inner) => inner.may_hold_handles(),
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

    /// Returns the description of a stream of items of type `item`. Meant for constants.
    ///
    /// # Panics
    /// An item is or contains a stream.
    #[track_caller]
    pub const fn stream(item: &'static Self) -> Self {
        assert!(!item.has_stream(), "an item of a stream can't be or contain another stream");
        Self::Stream(item)
    }

    /// Returns the reason why a parameter or a result of this type is an error, if it has a stream
    /// in a wrong place.
    const fn misplaced_stream(&self) -> Option<&'static str> {
        match self {
            Self::Stream(_) => None,
            Self::Option(inner) => inner.misplaced_stream(),
            Self::Tuple(parts) => {
                let mut i = 0;
                while i < parts.len() {
                    let fault = parts[i].misplaced_stream();
                    if fault.is_some() {
                        return fault;
                    }
                    i += 1;
                }
                None
            }
            _ => match self.has_stream() {
                true => Some(MISPLACED_STREAM),
                false => None,
            },
        }
    }

    /// Returns whether the type is a stream, or contains one outside of user-defined types, which
    /// can't contain any.
    const fn has_stream(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::Option(inner) | Self::List(inner) | Self::Array(inner, _) | Self::Set(inner) => {
                inner.has_stream()
            }
            Self::Result(a, b) | Self::Map(a, b) => a.has_stream() || b.has_stream(),
            Self::Tuple(parts) => {
                let mut i = 0;
                while i < parts.len() {
                    if parts[i].has_stream() {
                        return true;
                    }
                    i += 1;
                }
                false
            }
            Self::Plain(_)
            | Self::Handle { .. }
            | Self::Named { .. }
            | Self::Object(_)
            | Self::Serde(_) => false,
        }
    }
}

/// The definition of a user-defined type.
// Not `non_exhaustive`, because generated code in other crates constructs it.
#[derive(Clone, Copy, Debug)]
pub enum Definition {
    /// A struct with these fields.
    Struct(&'static [Parameter]),
    /// An enum with these variants.
    Enum(&'static [Variant]),
    /// A struct that may gain fields: `#[grows]`. The added fields follow those of the first
    /// version.
    GrowableStruct(&'static [Parameter]),
    /// An enum that may gain variants: `#[grows]`.
    GrowableEnum {
        /// The variants that can be sent.
        variants: &'static [Variant],
        /// Name of the variant that a reader receives instead of a variant that it doesn't know.
        /// It has no number and can't be sent.
        unknown: &'static str,
    },
}

impl Definition {
    /// Returns whether later versions of the type may have more fields or variants.
    pub fn is_growable(&self) -> bool {
        matches!(self, Self::GrowableStruct(_) | Self::GrowableEnum { .. })
    }

    /// Returns the fields of the struct, or of all variants of the enum.
    pub fn fields(&self) -> impl Iterator<Item = &'static Parameter> {
        let (fields, variants): (&[_], &[Variant]) = match *self {
            Self::Struct(fields) | Self::GrowableStruct(fields) => (fields, &[]),
            Self::Enum(variants) | Self::GrowableEnum { variants, .. } => (&[], variants),
        };
        fields.iter().chain(variants.iter().flat_map(|variant| variant.fields))
    }
}

/// A variant of an enum. Its index in the list of variants is its number on the wire.
// Not `non_exhaustive`, because generated code in other crates constructs it.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Name of the variant.
    pub name: &'static str,
    /// Documentation of the variant.
    pub docs: &'static str,
    /// Discriminant in Rust, which is the value in COM. Without an explicit discriminant (`Busy =
    /// 5`), it is the discriminant of the previous variant plus one.
    pub value: i64,
    /// Fields of the variant.
    pub fields: &'static [Parameter],
}

/// A type that can be a parameter or a result. Deriving [`Encode`](crate::Encode) also implements
/// this trait. Clients then pass `&Self` and receive `Self`.
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

    /// The type that a client receives for a result of this type, with the same encoding. For most
    /// types it is `Self`.
    type Output;
}

/// The type that a client passes for a parameter of type `T`. The [module](self) lists these types.
pub type Argument<'a, T> = <T as Describe>::Argument<'a>;

/// The type that a client receives for a result of type `T`: `T`, or `U` if `T` is `Arc<U>`.
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
    NonZeroU8 => Self, NonZeroU16 => Self, NonZeroU32 => Self, NonZeroU64 => Self,
    NonZeroI8 => Self, NonZeroI16 => Self, NonZeroI32 => Self, NonZeroI64 => Self,
    NonZeroU128 => Self, NonZeroI128 => Self, NonZeroUsize => Self, NonZeroIsize => Self,
    () => &'a Self, Guid => &'a Self, Duration => &'a Self, SystemTime => &'a Self,
    IpAddr => &'a Self, Ipv4Addr => &'a Self, Ipv6Addr => &'a Self,
    SocketAddr => &'a Self, SocketAddrV4 => &'a Self, SocketAddrV6 => &'a Self,
    String => &'a str, PathBuf => &'a Path, OsString => &'a OsStr,
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
    [] io::Error => Type::Plain("io::Error"),
    // A range has the form of a tuple on the wire.
    [T: Describe] Range<T> => Type::Tuple(&[T::TYPE, T::TYPE]),
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

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Type = Type::Plain("u32");
    const STREAM: Type = Type::stream(&NUMBER);

    #[test]
    fn parameters_and_results_have_streams_also_in_options_and_tuples() {
        for ty in [STREAM, Type::Option(&STREAM), Type::Tuple(&[NUMBER, Type::Option(&STREAM)])] {
            assert_eq!(ty.misplaced_stream(), None);
        }
        for ty in [Type::List(&STREAM), Type::Option(&Type::Result(&STREAM, &NUMBER))] {
            assert_eq!(ty.misplaced_stream(), Some(MISPLACED_STREAM));
        }
    }

    #[test]
    #[should_panic = "a stream is a parameter or a result"]
    fn a_field_is_no_stream() {
        let _ = Parameter::field("progress", Type::Option(&STREAM), None);
    }

    #[test]
    #[should_panic = "an item of a stream can't be or contain another stream"]
    fn an_item_is_no_stream() {
        let _ = Type::stream(&Type::Tuple(&[STREAM]));
    }
}
