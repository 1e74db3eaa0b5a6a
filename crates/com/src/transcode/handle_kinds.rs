//! Finds the declared kinds of all handles in encoded values by traversing the values' types.

use syshandle_os::{Declaration, Kinds};
use syshandle_types::Limits;
use syshandle_types::describe::{Definition, Parameter, Type};

use super::problem::Problem;

/// Returns the declared kinds of each handle in the encoded values.
pub(super) fn declared_handle_kinds(
    types: &[Parameter],
    encoded: &[u8],
) -> Result<Vec<Kinds>, Problem> {
    let mut walk = HandleWalk { bytes: encoded, found: Vec::new() };
    if types.is_empty() {
        // Without types, the values are a fault, which contains no handles.
        return Ok(walk.found);
    }
    types.iter().try_for_each(|value| walk.visit(&value.ty, value.handle, 0))?;
    match walk.bytes.is_empty() {
        true => Ok(walk.found),
        false => Err(Problem::Encoded),
    }
}

struct HandleWalk<'a> {
    bytes: &'a [u8],
    found: Vec<Kinds>,
}

impl HandleWalk<'_> {
    fn visit(
        &mut self,
        ty: &Type,
        declared: Option<Declaration>,
        depth: u32,
    ) -> Result<(), Problem> {
        match *ty {
            Type::Plain(name) => self.plain(name),
            Type::Handle { declared: own, .. } => {
                self.skip(2)?;
                self.found.push(declared.map_or(own, |declared| declared.and(own)).kinds);
                Ok(())
            }
            Type::Option(inner) => match self.byte()? {
                0 => Ok(()),
                _ => self.visit(inner, declared, depth),
            },
            Type::Result(value, error) => match self.byte()? {
                0 => self.visit(value, declared, depth),
                _ => self.visit(error, declared, depth),
            },
            Type::List(Type::Plain("u8")) => self.skip_counted(),
            Type::List(item) | Type::Set(item) => {
                (0..self.len()?).try_for_each(|_| self.visit(item, declared, depth))
            }
            Type::Map(key, value) => (0..self.len()?).try_for_each(|_| {
                self.visit(key, declared, depth)?;
                self.visit(value, declared, depth)
            }),
            Type::Array(_, 0) => self.skip(1),
            Type::Array(item, len) => (0..len).try_for_each(|_| self.visit(item, declared, depth)),
            Type::Tuple(parts) => {
                parts.iter().try_for_each(|part| self.visit(part, declared, depth))
            }
            Type::Named { definition, .. } if depth < Limits::DEPTH_MAX => {
                let definition = definition();
                let is_growable = matches!(
                    definition,
                    Definition::GrowableStruct(_) | Definition::GrowableEnum { .. }
                );
                if is_growable {
                    self.skip(syshandle_types::GROWABLE_HEADER_BYTES)?;
                }
                let fields = match definition {
                    Definition::Struct([]) => return self.skip(1),
                    Definition::Struct(fields) | Definition::GrowableStruct(fields) => fields,
                    Definition::Enum(variants) | Definition::GrowableEnum { variants, .. } => {
                        let index = self.len_unchecked()?;
                        variants.get(index).ok_or(Problem::Encoded)?.fields
                    }
                };
                fields.iter().try_for_each(|field| {
                    self.visit(&field.ty, field.handle.or(declared), depth + 1)
                })
            }
            Type::Serde(_) => self.skip_counted(),
            _ => Err(Problem::Encoded),
        }
    }

    fn plain(&mut self, name: &str) -> Result<(), Problem> {
        let len = match name {
            "()" | "bool" | "u8" | "i8" | "NonZeroU8" | "NonZeroI8" => 1,
            "u16" | "i16" | "NonZeroU16" | "NonZeroI16" => 2,
            "u32" | "i32" | "f32" | "char" | "NonZeroU32" | "NonZeroI32" | "Ipv4Addr" => 4,
            "SocketAddrV4" => 6,
            "u64" | "i64" | "f64" | "usize" | "isize" | "NonZeroU64" | "NonZeroI64"
            | "NonZeroUsize" | "NonZeroIsize" => 8,
            "Duration" | "SystemTime" => 12,
            "u128" | "i128" | "NonZeroU128" | "NonZeroI128" | "Guid" | "Ipv6Addr" => 16,
            "SocketAddrV6" => 26,
            "IpAddr" if self.byte()? == 4 => 4,
            "IpAddr" => 16,
            "SocketAddr" if self.byte()? == 4 => 6,
            "SocketAddr" => 26,
            // An error number, or a kind and a text.
            "io::Error" if self.byte()? == 1 => 4,
            "io::Error" => {
                self.skip(1)?;
                return self.skip_counted();
            }
            "String" | "PathBuf" | "OsString" => return self.skip_counted(),
            _ => return Err(Problem::Encoded),
        };
        self.skip(len)
    }

    fn skip(&mut self, len: usize) -> Result<(), Problem> {
        self.bytes = self.bytes.get(len..).ok_or(Problem::Encoded)?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        let (byte, rest) = self.bytes.split_first().ok_or(Problem::Encoded)?;
        self.bytes = rest;
        Ok(*byte)
    }

    fn len_unchecked(&mut self) -> Result<usize, Problem> {
        let (len, rest) = self.bytes.split_first_chunk().ok_or(Problem::Encoded)?;
        self.bytes = rest;
        Ok(u32::from_le_bytes(*len) as usize)
    }

    /// Reads an item count and checks it against the remaining bytes. Each item takes at least one
    /// byte.
    fn len(&mut self) -> Result<usize, Problem> {
        let len = self.len_unchecked()?;
        if len > self.bytes.len() { Err(Problem::Encoded) } else { Ok(len) }
    }

    fn skip_counted(&mut self) -> Result<(), Problem> {
        let len = self.len_unchecked()?;
        self.skip(len)
    }
}
