//! The byte form of descriptions, which `docs/wire.md` specifies.
//!
//! Each part is a record: its size in bytes, followed by its fields. A later version may add fields
//! at the end of any record. A reader ignores fields that it does not know.

use std::fmt;

use super::owned::{
    DescribedMethod, DescribedType, DescribedValue, DescribedVariant, Description, NamedType,
    TypeForm,
};
use super::{Bounds, Growth};
use crate::{Declaration, Files, Guid, Kinds, Rights, Sockets};

impl Description {
    /// Maximum size of a description in bytes. A client refuses to read more, because a server
    /// determines the size. The description of a method has a few hundred bytes, most of which are
    /// documentation.
    pub const BYTES_MAX: usize = 1024 * 1024;

    /// Encodes the description. If it would be larger than [`Description::BYTES_MAX`], encodes it
    /// without documentation.
    ///
    /// # Errors
    /// [`DescriptionError::TooLarge`] if the description is too large without documentation too.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DescriptionError> {
        let encoded = |with_docs| {
            let mut out = Writer { bytes: Vec::new(), with_docs };
            out.description(self);
            out.bytes
        };
        let bytes = encoded(true);
        let bytes = if bytes.len() > Self::BYTES_MAX { encoded(false) } else { bytes };
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// Decodes a description from untrusted bytes. The decoded description takes at most about
    /// twenty times as much memory as its bytes.
    ///
    /// # Errors
    /// [`DescriptionError`] if the bytes are not a description.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DescriptionError> {
        check_size(bytes)?;
        let mut input = Reader(bytes);
        let mut description = Self {
            iid: Guid::from_bytes(input.array()?),
            name: input.text()?,
            docs: input.text()?,
            methods: input.list(|input| input.record(Reader::method))?,
            types: input.list(|input| input.record(Reader::named))?,
        };
        let count = description.types.len();
        let mut wrong = None;
        description.for_each_type(|ty| match ty {
            DescribedType::Named(index) if *index as usize >= count => {
                wrong = Some(DescriptionError::NoSuchType { index: *index });
            }
            _ => {}
        });
        wrong.map_or(Ok(description), Err)
    }
}

fn check_size(bytes: &[u8]) -> Result<(), DescriptionError> {
    match bytes.len() {
        0..=Description::BYTES_MAX => Ok(()),
        size => Err(DescriptionError::TooLarge { size }),
    }
}

/// The reason why a description can't be encoded or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptionError {
    /// The description has more bytes than [`Description::BYTES_MAX`].
    TooLarge {
        /// The number of bytes.
        size: usize,
    },
    /// The bytes end within a value.
    Truncated,
    /// A text is not valid UTF-8.
    NotUtf8,
    /// A type is nested deeper than [`Description::DEPTH_MAX`].
    TooDeep,
    /// A type refers to an entry that the table of types does not have.
    NoSuchType {
        /// The index of the entry.
        index: u32,
    },
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size } => {
                let limit = Description::BYTES_MAX;
                write!(f, "the description has {size} bytes: the limit is {limit}")
            }
            Self::Truncated => f.write_str("the description ends within a value"),
            Self::NotUtf8 => f.write_str("a text of the description is not UTF-8"),
            Self::TooDeep => {
                let limit = Description::DEPTH_MAX;
                write!(f, "a type of the description is nested too deeply: the limit is {limit}")
            }
            Self::NoSuchType { index } => {
                write!(f, "the description refers to its type {index}, which it does not have")
            }
        }
    }
}

impl std::error::Error for DescriptionError {}

impl DescribedType {
    /// Returns the number of the kind of type.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Plain(_) => PLAIN,
            Self::Handle { .. } => HANDLE,
            Self::Option(_) => OPTION,
            Self::Result(..) => RESULT,
            Self::List(_) => LIST,
            Self::Array(..) => ARRAY,
            Self::Map(..) => MAP,
            Self::Set(_) => SET,
            Self::Tuple(_) => TUPLE,
            Self::Named(_) => NAMED,
            Self::Object { .. } => OBJECT,
            Self::Serde(_) => SERDE,
            Self::Stream(_) => STREAM,
            Self::Unknown(kind) => *kind,
        }
    }
}

const PLAIN: u8 = 0;
const HANDLE: u8 = 1;
const OPTION: u8 = 2;
const RESULT: u8 = 3;
const LIST: u8 = 4;
const ARRAY: u8 = 5;
const MAP: u8 = 6;
const SET: u8 = 7;
const TUPLE: u8 = 8;
const NAMED: u8 = 9;
const OBJECT: u8 = 10;
const SERDE: u8 = 11;
const STREAM: u8 = 12;

/// The form of a struct and of an enum. A type that can grow has one of the last two.
const STRUCT: u8 = 0;
const ENUM: u8 = 1;
const GROWABLE_STRUCT: u8 = 2;
const GROWABLE_ENUM: u8 = 3;

/// Returns the number of the growth of a field.
pub(super) fn growth_number(growth: Growth) -> u8 {
    match growth {
        Growth::Original => 0,
        Growth::Added => 1,
        Growth::Required => 2,
    }
}

/// Writes a description.
struct Writer {
    bytes: Vec<u8>,
    with_docs: bool,
}

impl Writer {
    fn description(&mut self, description: &Description) {
        self.bytes.extend(description.iid.to_bytes());
        self.text(&description.name);
        self.docs(&description.docs);
        self.list(&description.methods, |out, method| {
            out.text(&method.name);
            out.docs(&method.docs);
            out.list(&method.parameters, Self::value);
            out.record(|out| out.value(&method.result));
            out.option(method.error.as_ref(), Self::ty);
            out.bytes.push(method.blocking.into());
            out.bytes.push(method.one_way.into());
        });
        self.list(&description.types, |out, ty| {
            out.text(&ty.name);
            out.docs(&ty.docs);
            match &ty.form {
                TypeForm::Struct(fields) => {
                    out.bytes.push(if ty.grows { GROWABLE_STRUCT } else { STRUCT });
                    out.list(fields, Self::value);
                }
                TypeForm::Enum(variants) => {
                    out.bytes.push(if ty.grows { GROWABLE_ENUM } else { ENUM });
                    out.list(variants, |out, variant| {
                        out.text(&variant.name);
                        out.bytes.extend(variant.value.to_le_bytes());
                        out.list(&variant.fields, Self::value);
                        out.docs(&variant.docs);
                    });
                }
                TypeForm::Unknown(form) => out.bytes.push(*form),
            }
        });
    }

    fn value(&mut self, value: &DescribedValue) {
        self.text(&value.name);
        self.record(|out| out.ty(&value.ty));
        self.option(value.handle.as_ref(), Self::declaration);
        self.bytes.push(growth_number(value.growth));
        self.docs(&value.docs);
        self.option(value.bounds.as_ref(), |out, Bounds { from, to }| {
            out.bytes.extend(from.to_le_bytes());
            out.bytes.extend(to.to_le_bytes());
        });
    }

    fn ty(&mut self, ty: &DescribedType) {
        self.bytes.push(ty.kind());
        match ty {
            DescribedType::Plain(name) | DescribedType::Serde(name) => self.text(name),
            DescribedType::Handle { name, declared } => {
                self.text(name);
                self.record(|out| out.declaration(declared));
            }
            DescribedType::Option(inner)
            | DescribedType::List(inner)
            | DescribedType::Set(inner)
            | DescribedType::Stream(inner) => self.record(|out| out.ty(inner)),
            DescribedType::Array(inner, len) => {
                self.record(|out| out.ty(inner));
                self.bytes.extend(len.to_le_bytes());
            }
            DescribedType::Result(one, other) | DescribedType::Map(one, other) => {
                self.record(|out| out.ty(one));
                self.record(|out| out.ty(other));
            }
            DescribedType::Tuple(parts) => self.list(parts, Self::ty),
            DescribedType::Named(index) => self.bytes.extend(index.to_le_bytes()),
            DescribedType::Object { iid, name, hash } => {
                self.bytes.extend(iid.to_bytes());
                self.text(name);
                self.bytes.extend(hash.to_le_bytes());
            }
            DescribedType::Unknown(_) => {}
        }
    }

    fn declaration(&mut self, declared: &Declaration) {
        let Declaration { kinds, at_least, at_most, sockets, files } = *declared;
        self.bytes.extend(kinds.bits().to_le_bytes());
        self.bytes.extend(at_least.bits().to_le_bytes());
        let options = [
            at_most.map(|rights| rights.bits()),
            sockets.map(|sockets| sockets.bits()),
            files.map(|files| files.bits()),
        ];
        for bits in options {
            self.bytes.push(bits.is_some().into());
            self.bytes.extend(bits.unwrap_or(0).to_le_bytes());
        }
    }

    fn docs(&mut self, docs: &str) {
        self.text(if self.with_docs { docs } else { "" });
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    /// Writes a record: its size, and the fields that `write` writes.
    fn record(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        write(self);
        let size = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&size.to_le_bytes());
    }

    /// Writes a list of records.
    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.bytes.extend((items.len() as u32).to_le_bytes());
        items.iter().for_each(|item| self.record(|out| write(out, item)));
    }

    /// Writes 0, or 1 and a record.
    fn option<T>(&mut self, item: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.bytes.push(item.is_some().into());
        if let Some(item) = item {
            self.record(|out| write(out, item));
        }
    }
}

/// The bytes of a description, or of one of its records, that were not read yet.
struct Reader<'a>(&'a [u8]);

type Result<T, E = DescriptionError> = std::result::Result<T, E>;

impl<'a> Reader<'a> {
    fn method(&mut self) -> Result<DescribedMethod> {
        Ok(DescribedMethod {
            name: self.text()?,
            docs: self.text()?,
            parameters: self.list(|input| input.record(Self::value))?,
            result: self.record(Self::value)?,
            error: self.option(|input| input.ty(0))?,
            blocking: self.byte()? != 0,
            // An older version of the library does not write it.
            one_way: !self.0.is_empty() && self.byte()? != 0,
        })
    }

    fn named(&mut self) -> Result<NamedType> {
        let (name, docs) = (self.text()?, self.text()?);
        let form = self.byte()?;
        let grows = matches!(form, GROWABLE_STRUCT | GROWABLE_ENUM);
        let form = match form {
            STRUCT | GROWABLE_STRUCT => {
                TypeForm::Struct(self.list(|input| input.record(Self::value))?)
            }
            ENUM | GROWABLE_ENUM => TypeForm::Enum(self.list(|input| input.record(Self::variant))?),
            form => TypeForm::Unknown(form),
        };
        Ok(NamedType { name, docs, grows, form })
    }

    fn variant(&mut self) -> Result<DescribedVariant> {
        let name = self.text()?;
        let value = i64::from_le_bytes(self.array()?);
        let fields = self.list(|input| input.record(Self::value))?;
        Ok(DescribedVariant { name, docs: self.text()?, value, fields })
    }

    fn value(&mut self) -> Result<DescribedValue> {
        Ok(DescribedValue {
            name: self.text()?,
            ty: self.record(|input| input.ty(0))?,
            handle: self.option(Self::declaration)?,
            growth: match self.byte()? {
                1 => Growth::Added,
                2 => Growth::Required,
                _ => Growth::Original,
            },
            docs: self.text()?,
            bounds: self.option(Self::bounds)?,
        })
    }

    fn ty(&mut self, depth: u32) -> Result<DescribedType> {
        if depth > Description::DEPTH_MAX {
            return Err(DescriptionError::TooDeep);
        }
        let inner = |input: &mut Self| input.record(|input| input.ty(depth + 1)).map(Box::new);
        Ok(match self.byte()? {
            PLAIN => DescribedType::Plain(self.text()?),
            HANDLE => DescribedType::Handle {
                name: self.text()?,
                declared: self.record(Self::declaration)?,
            },
            OPTION => DescribedType::Option(inner(self)?),
            RESULT => DescribedType::Result(inner(self)?, inner(self)?),
            LIST => DescribedType::List(inner(self)?),
            ARRAY => DescribedType::Array(inner(self)?, u64::from_le_bytes(self.array()?)),
            MAP => DescribedType::Map(inner(self)?, inner(self)?),
            SET => DescribedType::Set(inner(self)?),
            TUPLE => {
                DescribedType::Tuple(self.list(|input| input.record(|input| input.ty(depth + 1)))?)
            }
            NAMED => DescribedType::Named(self.number()?),
            OBJECT => DescribedType::Object {
                iid: Guid::from_bytes(self.array()?),
                name: self.text()?,
                hash: u64::from_le_bytes(self.array()?),
            },
            SERDE => DescribedType::Serde(self.text()?),
            STREAM => DescribedType::Stream(inner(self)?),
            kind => DescribedType::Unknown(kind),
        })
    }

    fn bounds(&mut self) -> Result<Bounds> {
        let [from, to] = [self.array()?, self.array()?].map(i128::from_le_bytes);
        Ok(Bounds { from, to })
    }

    fn declaration(&mut self) -> Result<Declaration> {
        let kinds = Kinds::from_bits_truncate(self.number()?);
        let at_least = Rights::from_bits_truncate(self.number()?);
        let mut option = || {
            let (is_some, bits) = (self.byte()? != 0, self.number()?);
            Ok(is_some.then_some(bits))
        };
        Ok(Declaration {
            kinds,
            at_least,
            at_most: option()?.map(Rights::from_bits_truncate),
            sockets: option()?.map(Sockets::from_bits_truncate),
            files: option()?.map(Files::from_bits_truncate),
        })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DescriptionError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DescriptionError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Result<String> {
        let len = self.number()? as usize;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| DescriptionError::NotUtf8)?;
        Ok(text.to_owned())
    }

    /// Reads a record. Ignores the fields that `read` leaves.
    fn record<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let size = self.number()? as usize;
        read(&mut Reader(self.take(size)?))
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.number()?;
        // The memory of the list grows with the items that were read, not with their claimed number.
        (0..count).map(|_| read(self)).collect()
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        match self.byte()? {
            0 => Ok(None),
            _ => self.record(read).map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
