//! Values that are known only at run time.

use std::fmt;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use syshandle::Guid;
use syshandle::describe::Bounds;
use syshandle::describe::owned::{DescribedType, DescribedValue, NamedType, TypeForm};
use syshandle::handle::{BorrowedHandle, Kind, OwnedHandle};
use syshandle_types::{DecodeErrorKind, Measure};

use crate::DynamicClient;

/// A value of any type of an interface.
///
/// | type of the interface | value of a result | also accepted as an argument |
/// |---|---|---|
/// | `()` | `Unit` | |
/// | `bool` | `Bool` | |
/// | integers | `Unsigned` or `Signed`, by the type | the other one, if the number is in the range |
/// | `f32`, `f64` | `Float` | `Unsigned`, `Signed` |
/// | `char`, `String` | `Text` | |
/// | `Vec<u8>`, `Serde<T>` | `Bytes` | a `List` of integers for `Vec<u8>` |
/// | `PathBuf`, `OsString` | `Path` | `Text` |
/// | `Guid` | `Guid` | `Text` |
/// | `Duration`, `SystemTime` | `Duration`, `Time` | |
/// | `IpAddr`, `SocketAddr` and their kin | `Text` | |
/// | `io::Error` | `Text` | |
/// | `Option` | `Option` | a value without `Option`, if it is not one of `Unit` and `Option` |
/// | `Result` | `Result` | |
/// | lists, arrays, sets, tuples, ranges | `List` | |
/// | maps | `Map` | |
/// | structs | `Fields` | |
/// | enums | `Variant` | `Text` for a variant without fields |
/// | handles | `Handle` | |
/// | references to objects | `Object` | |
#[derive(PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// The value of `()`.
    Unit,
    /// A truth value.
    Bool(bool),
    /// A number of an unsigned type.
    Unsigned(u128),
    /// A number of a signed type.
    Signed(i128),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A path.
    Path(PathBuf),
    /// An identifier.
    Guid(Guid),
    /// A duration.
    Duration(Duration),
    /// A time.
    Time(SystemTime),
    /// An optional value.
    Option(Option<Box<Value>>),
    /// A value, or an error.
    Result(Result<Box<Value>, Box<Value>>),
    /// The items of a list, array, set or tuple, in order.
    List(Vec<Value>),
    /// The entries of a map.
    Map(Vec<(Value, Value)>),
    /// The fields of a struct, by name. As an argument, in any order.
    Fields(Vec<(Arc<str>, Value)>),
    /// A variant of an enum by name, and its fields by name. A field of a tuple variant has its index
    /// as its name. A variant that the description does not have is named by its number.
    Variant(Arc<str>, Box<Value>),
    /// A handle.
    Handle(HandleValue),
    /// A reference to an object.
    Object(DynamicClient),
}

/// A handle in a [`Value`].
#[derive(Clone)]
pub struct HandleValue {
    handle: Arc<OwnedHandle>,
    kind: Option<Kind>,
}

impl HandleValue {
    pub(crate) fn received(handle: OwnedHandle, kind: Option<Kind>) -> Self {
        Self { handle: Arc::new(handle), kind }
    }

    /// Returns the kind of a received handle, which the kernel has reported. `None` for a handle
    /// that the program passes, and for an object without a kind.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Returns the handle. Duplicates it if another value refers to it too.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn into_handle(self) -> std::io::Result<OwnedHandle> {
        match Arc::try_unwrap(self.handle) {
            Ok(handle) => Ok(handle),
            Err(handle) => handle.try_clone(),
        }
    }
}

impl AsFd for HandleValue {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.handle.as_fd()
    }
}

/// Compares the identity of two handles in this process.
impl PartialEq for HandleValue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }
}

impl fmt::Debug for HandleValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.map_or("handle", Kind::name))
    }
}

impl Value {
    /// Makes the value of a struct from its fields.
    pub fn fields<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Fields(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Makes the value of an enum from the name of its variant and the fields of the variant.
    pub fn variant<const N: usize>(name: &str, fields: [(&str, Self); N]) -> Self {
        Self::Variant(name.into(), Box::new(Self::fields(fields)))
    }

    /// Makes a value from a handle.
    pub fn handle(handle: impl Into<OwnedHandle>) -> Self {
        Self::Handle(HandleValue { handle: Arc::new(handle.into()), kind: None })
    }

    /// Makes an optional value.
    pub fn some(value: impl Into<Self>) -> Self {
        Self::Option(Some(Box::new(value.into())))
    }

    /// Returns a field of a struct, or of the variant of an enum.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Fields(fields) => {
                fields.iter().find(|(field, _)| &**field == name).map(|(_, value)| value)
            }
            Self::Variant(_, fields) => fields.field(name),
            _ => None,
        }
    }

    /// Returns the error of a value that is outside of its bounds. `types` are the user-defined types
    /// of the description.
    pub(crate) fn out_of_bounds(
        &self,
        of: &DescribedValue,
        types: &[NamedType],
    ) -> Option<DecodeErrorKind> {
        let Bounds { from, to } = of.bounds?;
        let (value, unit) = self.measure(&of.ty, types)?;
        (value < from || value > to).then_some(DecodeErrorKind::OutOfRange {
            value,
            from,
            to,
            unit,
        })
    }

    /// Returns the number that is compared with the bounds, and what it counts. `None` for an absent
    /// value, and for types whose values can't have bounds.
    fn measure(&self, ty: &DescribedType, types: &[NamedType]) -> Option<(i128, &'static str)> {
        let plain = |number| Some((number, ""));
        match (ty, self) {
            (DescribedType::Option(inner), Self::Option(value)) => {
                value.as_deref()?.measure(inner, types)
            }
            (DescribedType::Option(inner), value) => value.measure(inner, types),
            (DescribedType::List(_), Self::List(items)) => {
                Some((items.len() as i128, Vec::<u8>::UNIT))
            }
            (DescribedType::List(_), Self::Bytes(bytes)) => {
                Some((bytes.len() as i128, Vec::<u8>::UNIT))
            }
            (DescribedType::Plain(name), Self::Text(text)) if name == "String" => {
                Some((text.encode_utf16().count() as i128, String::UNIT))
            }
            // No bound is greater than the largest `i128`.
            (DescribedType::Plain(_), Self::Unsigned(number)) => {
                plain(i128::try_from(*number).unwrap_or(i128::MAX))
            }
            (DescribedType::Plain(_), Self::Signed(number)) => plain(*number),
            (DescribedType::Named(index), Self::Variant(name, _)) => {
                plain(number(types.get(*index as usize)?, name)?)
            }
            (DescribedType::Named(index), Self::Text(name)) => {
                plain(number(types.get(*index as usize)?, name)?)
            }
            _ => None,
        }
    }

    /// Returns the term for the value in an error.
    pub(crate) fn term(&self) -> String {
        match self {
            Self::Unit => "no value".into(),
            Self::Bool(value) => value.to_string(),
            Self::Unsigned(number) => number.to_string(),
            Self::Signed(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(_) => "a text".into(),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Self::Path(_) => "a path".into(),
            Self::Guid(_) => "an identifier".into(),
            Self::Duration(_) => "a duration".into(),
            Self::Time(_) => "a time".into(),
            Self::Option(_) => "an optional value".into(),
            Self::Result(_) => "a result".into(),
            Self::List(items) => format!("a list of {} items", items.len()),
            Self::Map(_) => "a map".into(),
            Self::Fields(_) => "fields".into(),
            Self::Variant(name, _) => format!("the variant `{name}`"),
            Self::Handle(_) => "a handle".into(),
            Self::Object(_) => "an object".into(),
        }
    }
}

/// Returns the value in COM of a variant without fields.
fn number(ty: &NamedType, name: &str) -> Option<i128> {
    let TypeForm::Enum(variants) = &ty.form else { return None };
    let variant = variants.iter().find(|variant| variant.name == name)?;
    variant.fields.is_empty().then(|| variant.value.into())
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("()"),
            Self::Bool(value) => value.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Path(path) => path.fmt(f),
            Self::Guid(guid) => guid.fmt(f),
            Self::Duration(duration) => duration.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Option(value) => value.fmt(f),
            Self::Result(value) => value.fmt(f),
            Self::List(items) => items.fmt(f),
            Self::Map(entries) => {
                f.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish()
            }
            Self::Fields(fields) => {
                f.debug_map().entries(fields.iter().map(|(name, value)| (name, value))).finish()
            }
            Self::Variant(name, fields) => match &**fields {
                Self::Fields(none) if none.is_empty() => f.write_str(name),
                fields => write!(f, "{name} {fields:?}"),
            },
            Self::Handle(handle) => handle.fmt(f),
            Self::Object(object) => object.fmt(f),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident($number:ty)),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(<$number>::from(value))
            }
        }
    )+};
}
from! {
    bool => Bool(bool), f32 => Float(f64), f64 => Float(f64),
    u8 => Unsigned(u128), u16 => Unsigned(u128), u32 => Unsigned(u128), u64 => Unsigned(u128),
    i8 => Signed(i128), i16 => Signed(i128), i32 => Signed(i128), i64 => Signed(i128),
    &str => Text(String), String => Text(String), PathBuf => Path(PathBuf), Guid => Guid(Guid),
    Duration => Duration(Duration), SystemTime => Time(SystemTime),
    DynamicClient => Object(DynamicClient), HandleValue => Handle(HandleValue),
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
