//! Decodes the values of results as the description says. The server determines both, so depth and
//! memory have limits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use syshandle::generated::UntypedClient;
use syshandle::handle::{Kind, OwnedHandle, identify};
use syshandle_types::describe::owned::{DescribedType, DescribedValue, TypeForm};
use syshandle_types::{
    Declaration, Decode, DecodeError, DecodeErrorKind, Decoder, GrowableType, Guid,
};

use crate::schema::{DEPTH_MAX, Schema, declared};
use crate::{DynamicClient, HandleValue, Value};

/// Reads the result of one call.
pub(crate) struct Reader<'s> {
    pub(crate) schema: &'s Schema,
}

type Read<T = Value> = Result<T, DecodeError>;

impl Reader<'_> {
    pub(crate) fn value(&self, of: &DescribedValue, input: &mut Decoder<'_>) -> Read {
        self.bounded(of, of.handle, input, 0)
    }

    /// Reads a value that may have bounds.
    fn bounded(
        &self,
        of: &DescribedValue,
        handle: Option<Declaration>,
        input: &mut Decoder<'_>,
        depth: u32,
    ) -> Read {
        let value = self.read(&of.ty, handle, input, depth)?;
        match value.out_of_bounds(of, &self.schema.description.types) {
            None => Ok(value),
            Some(kind) => Err(input.error(kind)),
        }
    }

    pub(crate) fn read(
        &self,
        ty: &DescribedType,
        handle: Option<Declaration>,
        input: &mut Decoder<'_>,
        depth: u32,
    ) -> Read {
        if depth == DEPTH_MAX {
            return Err(input.error(DecodeErrorKind::TooDeep));
        }
        let depth = depth + 1;
        let boxed = |ty: &DescribedType, input: &mut Decoder<'_>| {
            input.charge_value::<Value>()?;
            self.read(ty, handle, input, depth).map(Box::new)
        };
        Ok(match ty {
            DescribedType::Plain(name) => return plain(name, input),
            DescribedType::Serde(_) => Value::Bytes(Vec::decode(input)?),
            DescribedType::Handle { declared, .. } => {
                let declared = handle.map_or(*declared, |outer| outer.and(*declared));
                let handle: OwnedHandle = input.field(Some(declared))?;
                let kind = declared.kinds.only().or_else(|| kind_of(&handle));
                Value::Handle(HandleValue::received(handle, kind))
            }
            DescribedType::Object { iid, .. } => {
                let object = UntypedClient::decode(input, *iid)?;
                Value::Object(DynamicClient::of_reference(object, *iid))
            }
            DescribedType::Option(ty) => match u8::decode(input)? {
                0 => Value::Option(None),
                1 => Value::Option(Some(boxed(ty, input)?)),
                _ => return Err(input.error(DecodeErrorKind::Value { expected: "Option" })),
            },
            DescribedType::Result(value, error) => match u8::decode(input)? {
                0 => Value::Result(Ok(boxed(value, input)?)),
                1 => Value::Result(Err(boxed(error, input)?)),
                _ => return Err(input.error(DecodeErrorKind::Value { expected: "Result" })),
            },
            DescribedType::List(ty) if matches!(&**ty, DescribedType::Plain(name) if name == "u8") => {
                Value::Bytes(Vec::decode(input)?)
            }
            DescribedType::List(ty) | DescribedType::Set(ty) => {
                let len = input.take_len()?;
                self.items(ty, handle, len as u64, input, depth)?
            }
            DescribedType::Array(_, 0) => {
                <()>::decode(input)?;
                Value::List(Vec::new())
            }
            DescribedType::Array(ty, len) => self.items(ty, handle, *len, input, depth)?,
            DescribedType::Map(key_type, value_type) => {
                let len = input.take_len()?;
                let mut entries = Vec::new();
                for index in 0..len {
                    let at = |error: DecodeError| error.in_item(index);
                    input.charge(size_of::<(Value, Value)>() * GROWTH)?;
                    let key = self.read(key_type, handle, input, depth).map_err(at)?;
                    let value = self.read(value_type, handle, input, depth).map_err(at)?;
                    entries.push((key, value));
                }
                Value::Map(entries)
            }
            // Every value has at least one byte, so no type is an empty tuple.
            DescribedType::Tuple(types) if types.is_empty() => {
                <()>::decode(input)?;
                Value::List(Vec::new())
            }
            DescribedType::Tuple(types) => {
                let mut items = Vec::new();
                for (index, ty) in types.iter().enumerate() {
                    input.charge(size_of::<Value>() * GROWTH)?;
                    let item = self.read(ty, handle, input, depth);
                    items.push(item.map_err(|error| error.in_field(&index.to_string()))?);
                }
                Value::List(items)
            }
            DescribedType::Named(index) => self.named(*index, handle, input, depth)?,
            _ => {
                let expected = "a type that this program knows";
                return Err(input.error(DecodeErrorKind::Value { expected }));
            }
        })
    }

    fn items(
        &self,
        ty: &DescribedType,
        handle: Option<Declaration>,
        len: u64,
        input: &mut Decoder<'_>,
        depth: u32,
    ) -> Read {
        let mut items = Vec::new();
        // Each item takes at least one byte, so a description with a wrong length ends soon.
        for index in 0..len {
            input.charge(size_of::<Value>() * GROWTH)?;
            let item = self.read(ty, handle, input, depth);
            items.push(item.map_err(|error| error.in_item(index as usize))?);
        }
        Ok(Value::List(items))
    }

    fn named(
        &self,
        index: u32,
        handle: Option<Declaration>,
        input: &mut Decoder<'_>,
        depth: u32,
    ) -> Read {
        let unknown = DecodeErrorKind::Value { expected: "a type that this program knows" };
        let Some(ty) = self.schema.named(index) else { return Err(input.error(unknown)) };
        let name = "the described type";
        match (&ty.form, ty.grows) {
            (TypeForm::Struct(fields), false) => input.nested(|input| {
                if fields.is_empty() {
                    <()>::decode(input)?;
                }
                self.fields(fields, handle, input, depth).map(Value::Fields)
            }),
            (TypeForm::Struct(fields), true) => {
                let count = u16::try_from(fields.len()).unwrap_or(u16::MAX);
                input.growable(GrowableType::Struct { name, fields: count }, |input| {
                    self.fields(fields, handle, input, depth).map(Value::Fields)
                })
            }
            (TypeForm::Enum(variants), grows) => {
                let count = variants.len() as u32;
                let read = |input: &mut Decoder<'_>| {
                    let number = u32::decode(input)?;
                    let Some(variant) = variants.get(number as usize) else {
                        if !grows {
                            let kind = DecodeErrorKind::Value { expected: "a known variant" };
                            return Err(input.error(kind));
                        }
                        let name = Arc::from(number.to_string());
                        return Ok(Value::Variant(name, Box::new(Value::Fields(Vec::new()))));
                    };
                    input.charge_value::<Value>()?;
                    let fields = self.fields(&variant.fields, handle, input, depth);
                    let fields = fields.map_err(|error| error.in_field(&variant.name))?;
                    let name = self.schema.name(&variant.name);
                    Ok(Value::Variant(name, Box::new(Value::Fields(fields))))
                };
                match grows {
                    true => input.growable(GrowableType::Enum { name, variants: count }, read),
                    false => input.nested(read),
                }
            }
            _ => Err(input.error(unknown)),
        }
    }

    fn fields(
        &self,
        fields: &[DescribedValue],
        handle: Option<Declaration>,
        input: &mut Decoder<'_>,
        depth: u32,
    ) -> Read<Vec<(Arc<str>, Value)>> {
        let mut values = Vec::new();
        for field in fields {
            input.charge(size_of::<(Arc<str>, Value)>() * GROWTH)?;
            let value = self.bounded(field, declared(field, handle), input, depth);
            let value = value.map_err(|error| error.in_field(&field.name))?;
            values.push((self.schema.name(&field.name), value));
        }
        Ok(values)
    }
}

/// A vector takes up to twice the memory of its items.
const GROWTH: usize = 2;

/// Asks the kernel for the kind of a handle.
fn kind_of(handle: &OwnedHandle) -> Option<Kind> {
    let facts = identify(handle.as_fd()).ok()?;
    Kind::ALL.into_iter().find(|kind| facts.object.is(*kind))
}

fn plain(name: &str, input: &mut Decoder<'_>) -> Read {
    macro_rules! read {
        ($($type:ident => $variant:ident($number:ty)),+) => {
            match name {
                $(stringify!($type) => {
                    return Ok(Value::$variant(<$type>::decode(input)? as $number));
                })+
                _ => {}
            }
        };
    }
    if let Some(nonzero) = name.strip_prefix("NonZero") {
        return match plain(&nonzero.to_ascii_lowercase(), input)? {
            Value::Unsigned(0) | Value::Signed(0) => {
                Err(input.error(DecodeErrorKind::Value { expected: "a number other than 0" }))
            }
            number => Ok(number),
        };
    }
    read!(
        u8 => Unsigned(u128), u16 => Unsigned(u128), u32 => Unsigned(u128), u64 => Unsigned(u128),
        u128 => Unsigned(u128), usize => Unsigned(u128), i8 => Signed(i128), i16 => Signed(i128),
        i32 => Signed(i128), i64 => Signed(i128), i128 => Signed(i128), isize => Signed(i128),
        f32 => Float(f64), f64 => Float(f64)
    );
    let text = |text: String| Ok(Value::Text(text));
    match name {
        "()" => <()>::decode(input).map(|()| Value::Unit),
        "bool" => bool::decode(input).map(Value::Bool),
        "char" => text(char::decode(input)?.to_string()),
        "String" => text(String::decode(input)?),
        "PathBuf" | "OsString" => PathBuf::decode(input).map(Value::Path),
        "Guid" => Guid::decode(input).map(Value::Guid),
        "Duration" => Duration::decode(input).map(Value::Duration),
        "SystemTime" => SystemTime::decode(input).map(Value::Time),
        "IpAddr" => text(IpAddr::decode(input)?.to_string()),
        "Ipv4Addr" => text(Ipv4Addr::decode(input)?.to_string()),
        "Ipv6Addr" => text(Ipv6Addr::decode(input)?.to_string()),
        "SocketAddr" => text(SocketAddr::decode(input)?.to_string()),
        "SocketAddrV4" => text(SocketAddrV4::decode(input)?.to_string()),
        "SocketAddrV6" => text(SocketAddrV6::decode(input)?.to_string()),
        "io::Error" => text(io::Error::decode(input)?.to_string()),
        _ => {
            let expected = "a type that this program knows";
            Err(input.error(DecodeErrorKind::Value { expected }))
        }
    }
}
