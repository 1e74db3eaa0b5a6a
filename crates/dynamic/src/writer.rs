//! Encodes values as the description demands, and finds the ones that do not match it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;
use std::sync::Arc;

use syshandle::handle::prove;
use syshandle_types::describe::owned::{DescribedType, DescribedValue, DescribedVariant, TypeForm};
use syshandle_types::{Declaration, Encode, EncodeErrorKind, Encoder, Guid};

use crate::Value;
use crate::schema::{DEPTH_MAX, Schema, declared};

/// Writes the arguments of one call.
pub(crate) struct Writer<'s> {
    pub(crate) schema: &'s Schema,
}

/// A value that does not match the description: its place and the reason.
pub(crate) struct Wrong {
    path: String,
    reason: String,
}

impl Wrong {
    fn new(reason: String) -> Self {
        Self { path: String::new(), reason }
    }

    fn within(mut self, part: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{part}{dot}{}", self.path);
        self
    }

    /// Returns the error text of a parameter.
    pub(crate) fn text(self, parameter: &str) -> String {
        let Self { path, reason } = self.within(parameter);
        format!("parameter `{path}`: {reason}")
    }
}

type Written = Result<(), Wrong>;

impl Writer<'_> {
    pub(crate) fn value<'a>(
        &self,
        of: &DescribedValue,
        value: &'a Value,
        out: &mut Encoder<'a>,
    ) -> Written {
        let written = self.bounded(of, of.handle, value, out, 0);
        if let Err(Wrong { reason, .. }) = &written {
            // The call must not be sent.
            out.fail(EncodeErrorKind::Value(reason.clone()));
        }
        written
    }

    /// Writes a value that may have bounds.
    fn bounded<'a>(
        &self,
        of: &DescribedValue,
        handle: Option<Declaration>,
        value: &'a Value,
        out: &mut Encoder<'a>,
        depth: u32,
    ) -> Written {
        self.write(&of.ty, handle, value, out, depth)?;
        match value.out_of_bounds(of, &self.schema.description.types) {
            None => Ok(()),
            Some(kind) => Err(Wrong::new(kind.to_string())),
        }
    }

    fn write<'a>(
        &self,
        ty: &DescribedType,
        handle: Option<Declaration>,
        value: &'a Value,
        out: &mut Encoder<'a>,
        depth: u32,
    ) -> Written {
        if depth == DEPTH_MAX {
            return Err(Wrong::new(format!("the limit of {DEPTH_MAX} nested values is exceeded")));
        }
        let wrong = || Err(self.unexpected(ty, value));
        let depth = depth + 1;
        match (ty, value) {
            (DescribedType::Plain(name), value) => plain(name, value, out).unwrap_or_else(wrong),
            (DescribedType::Serde(_), Value::Bytes(bytes)) => {
                bytes.encode(out);
                Ok(())
            }
            (DescribedType::Handle { declared, .. }, Value::Handle(of)) => {
                let declared = handle.map_or(*declared, |outer| outer.and(*declared));
                let proven = prove(of.as_fd(), &declared);
                proven.map_err(|error| Wrong::new(error.to_string()))?;
                out.put_handle(of.as_fd());
                Ok(())
            }
            (DescribedType::Object { iid, name, .. }, Value::Object(object)) => {
                if object.iid() != *iid {
                    let reason = format!(
                        "expected an object with the interface `{name}`, got an {object:?}: cast it \
                         first"
                    );
                    return Err(Wrong::new(reason));
                }
                object.untyped().encode(out);
                Ok(())
            }
            (DescribedType::Option(_), Value::Option(None)) => {
                out.put(&[0]);
                Ok(())
            }
            (DescribedType::Option(ty), Value::Option(Some(value))) => {
                out.put(&[1]);
                self.write(ty, handle, value, out, depth)
            }
            (DescribedType::Option(_), Value::Unit) => wrong(),
            (DescribedType::Option(ty), value) => {
                out.put(&[1]);
                self.write(ty, handle, value, out, depth)
            }
            (DescribedType::Result(ty, _), Value::Result(Ok(value))) => {
                out.put(&[0]);
                self.write(ty, handle, value, out, depth)
            }
            (DescribedType::Result(_, ty), Value::Result(Err(value))) => {
                out.put(&[1]);
                self.write(ty, handle, value, out, depth)
            }
            (DescribedType::List(ty), Value::Bytes(bytes)) if is_byte(ty) => {
                bytes.encode(out);
                Ok(())
            }
            (DescribedType::List(ty) | DescribedType::Set(ty), Value::List(items)) => {
                out.put_len(items.len());
                self.items(ty, handle, items, out, depth)
            }
            (DescribedType::Array(_, 0), Value::List(items)) if items.is_empty() => {
                out.put(&[0]);
                Ok(())
            }
            (DescribedType::Array(ty, len), Value::List(items)) if *len == items.len() as u64 => {
                self.items(ty, handle, items, out, depth)
            }
            (DescribedType::Array(ty, len), Value::Bytes(bytes))
                if is_byte(ty) && *len == bytes.len() as u64 && *len > 0 =>
            {
                out.lend(bytes);
                Ok(())
            }
            (DescribedType::Map(key_type, value_type), Value::Map(entries)) => {
                out.put_len(entries.len());
                for (index, (key, value)) in entries.iter().enumerate() {
                    part(
                        out,
                        || format!("[{index}]"),
                        |out| {
                            self.write(key_type, handle, key, out, depth)?;
                            self.write(value_type, handle, value, out, depth)
                        },
                    )?;
                }
                Ok(())
            }
            (DescribedType::Tuple(types), Value::List(items)) if types.len() == items.len() => {
                for (index, (ty, item)) in types.iter().zip(items).enumerate() {
                    let name = || index.to_string();
                    part(out, name, |out| self.write(ty, handle, item, out, depth))?;
                }
                Ok(())
            }
            (DescribedType::Named(index), value) => self.named(*index, handle, value, out, depth),
            _ => wrong(),
        }
    }

    fn items<'a>(
        &self,
        ty: &DescribedType,
        handle: Option<Declaration>,
        items: &'a [Value],
        out: &mut Encoder<'a>,
        depth: u32,
    ) -> Written {
        for (index, item) in items.iter().enumerate() {
            let name = || format!("[{index}]");
            part(out, name, |out| self.write(ty, handle, item, out, depth))?;
        }
        Ok(())
    }

    fn named<'a>(
        &self,
        index: u32,
        handle: Option<Declaration>,
        value: &'a Value,
        out: &mut Encoder<'a>,
        depth: u32,
    ) -> Written {
        let unexpected = || self.unexpected(&DescribedType::Named(index), value);
        let Some(ty) = self.schema.named(index) else { return Err(unexpected()) };
        let mut written = Ok(());
        let write = |out: &mut Encoder<'a>| {
            written = match (&ty.form, value) {
                (TypeForm::Struct(fields), Value::Fields(values)) => {
                    if fields.is_empty() && !ty.grows {
                        out.put(&[0]);
                    }
                    self.fields(fields, handle, values, out, depth)
                }
                (TypeForm::Enum(variants), Value::Variant(name, values)) => match &**values {
                    Value::Fields(values) => {
                        self.variant(variants, name, handle, values, out, depth)
                    }
                    _ => Err(unexpected()),
                },
                (TypeForm::Enum(variants), Value::Text(name)) => {
                    self.variant(variants, name, handle, &[], out, depth)
                }
                _ => Err(unexpected()),
            };
        };
        match ty.grows {
            true => out.growable(write),
            false => out.nested(write),
        }
        written
    }

    fn variant<'a>(
        &self,
        variants: &[DescribedVariant],
        name: &str,
        handle: Option<Declaration>,
        values: &'a [(Arc<str>, Value)],
        out: &mut Encoder<'a>,
        depth: u32,
    ) -> Written {
        let Some(number) = variants.iter().position(|variant| variant.name == name) else {
            let names: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
            let reason = format!("expected one of the variants {}, got `{name}`", names.join(", "));
            return Err(Wrong::new(reason));
        };
        out.put(&(number as u32).to_le_bytes());
        let fields = &variants[number].fields;
        part(out, || name.to_owned(), |out| self.fields(fields, handle, values, out, depth))
    }

    fn fields<'a>(
        &self,
        fields: &[DescribedValue],
        handle: Option<Declaration>,
        values: &'a [(Arc<str>, Value)],
        out: &mut Encoder<'a>,
        depth: u32,
    ) -> Written {
        let is_unknown = |name: &str| fields.iter().all(|field| field.name != name);
        if let Some((name, _)) = values.iter().find(|(name, _)| is_unknown(name)) {
            let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            let reason = format!("expected the fields {}, got `{name}`", names.join(", "));
            return Err(Wrong::new(reason));
        }
        for field in fields {
            let mut found = values.iter().filter(|(name, _)| **name == *field.name);
            let (Some((_, value)), None) = (found.next(), found.next()) else {
                let reason = format!("expected {} once", self.schema.text(&field.ty));
                return Err(Wrong::new(reason).within(&field.name));
            };
            let handle = declared(field, handle);
            let name = || field.name.clone();
            part(out, name, |out| self.bounded(field, handle, value, out, depth))?;
        }
        Ok(())
    }

    fn unexpected(&self, ty: &DescribedType, value: &Value) -> Wrong {
        Wrong::new(format!("expected {}, got {}", self.schema.text(ty), value.term()))
    }
}

/// Writes a part of a value, and adds its name to an error.
fn part<'a>(
    out: &mut Encoder<'a>,
    name: impl Fn() -> String,
    write: impl FnOnce(&mut Encoder<'a>) -> Written,
) -> Written {
    out.part(&name, write).map_err(|wrong| wrong.within(&name()))
}

fn is_byte(ty: &DescribedType) -> bool {
    matches!(ty, DescribedType::Plain(name) if name == "u8")
}

/// Encodes a value of a plain type. Returns `None` if the value does not match the type.
fn plain<'a>(name: &str, value: &'a Value, out: &mut Encoder<'a>) -> Option<Written> {
    if let Some(nonzero) = name.strip_prefix("NonZero") {
        let is_zero = matches!(value, Value::Unsigned(0) | Value::Signed(0));
        return if is_zero { None } else { plain(&nonzero.to_ascii_lowercase(), value, out) };
    }
    macro_rules! numbers {
        ($($type:ident),+) => {
            match name {
                $(stringify!($type) => {
                    let number = match value {
                        Value::Unsigned(number) => $type::try_from(*number).ok()?,
                        Value::Signed(number) => $type::try_from(*number).ok()?,
                        _ => return None,
                    };
                    number.encode_now(out);
                    return Some(Ok(()));
                })+
                _ => {}
            }
        };
    }
    numbers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
    match (name, value) {
        ("()", Value::Unit) => out.put(&[0]),
        ("bool", Value::Bool(value)) => out.put(&[u8::from(*value)]),
        ("f32" | "f64", value) => {
            let number = match value {
                Value::Float(number) => *number,
                Value::Unsigned(number) => *number as f64,
                Value::Signed(number) => *number as f64,
                _ => return None,
            };
            match name {
                "f32" => out.put(&(number as f32).to_le_bytes()),
                _ => out.put(&number.to_le_bytes()),
            }
        }
        ("char", Value::Text(text)) => {
            let mut chars = text.chars();
            let (Some(first), None) = (chars.next(), chars.next()) else { return None };
            out.put(&u32::from(first).to_le_bytes());
        }
        ("String", Value::Text(text)) => text.encode(out),
        ("PathBuf" | "OsString", Value::Path(path)) => {
            let bytes = path.as_os_str().as_bytes();
            out.put_len(bytes.len());
            out.lend(bytes);
        }
        ("PathBuf" | "OsString", Value::Text(text)) => text.encode(out),
        ("Guid", Value::Guid(guid)) => out.put(&guid.to_bytes()),
        ("Guid", Value::Text(text)) => out.put(&Guid::parse(text).ok()?.to_bytes()),
        ("Duration", Value::Duration(duration)) => duration.encode(out),
        ("SystemTime", Value::Time(time)) => time.encode(out),
        ("IpAddr", Value::Text(text)) => parsed::<IpAddr>(text)?.encode_now(out),
        ("Ipv4Addr", Value::Text(text)) => parsed::<Ipv4Addr>(text)?.encode_now(out),
        ("Ipv6Addr", Value::Text(text)) => parsed::<Ipv6Addr>(text)?.encode_now(out),
        ("SocketAddr", Value::Text(text)) => parsed::<SocketAddr>(text)?.encode_now(out),
        ("SocketAddrV4", Value::Text(text)) => parsed::<SocketAddrV4>(text)?.encode_now(out),
        ("SocketAddrV6", Value::Text(text)) => parsed::<SocketAddrV6>(text)?.encode_now(out),
        ("io::Error", Value::Text(text)) => {
            std::io::Error::other(text.clone()).encode_now(out);
        }
        _ => return None,
    }
    Some(Ok(()))
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Encodes a temporary value, which the message can't borrow.
trait EncodeNow: Encode {
    fn encode_now(&self, out: &mut Encoder<'_>) {
        let mut bytes = Encoder::new(Vec::new(), out.limits());
        self.encode(&mut bytes);
        if let Ok((bytes, _)) = bytes.finish() {
            out.put(&bytes);
        }
    }
}

impl<T: Encode> EncodeNow for T {}
