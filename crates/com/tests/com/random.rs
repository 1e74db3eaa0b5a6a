//! Random encoded values of every type that an interface can use.

use syshandle::describe::{Definition, Parameter, Type};
use syshandle::handle::{Declaration, Kind};
use syshandle_com::RawLentHandle;

/// A random number generator with a seed.
pub(crate) struct Random(u64);

/// Encoded values and their handles.
#[derive(Default)]
pub(crate) struct Values {
    pub(crate) bytes: Vec<u8>,
    pub(crate) handles: Vec<RawLentHandle>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns random values of these types.
    pub(crate) fn values(&mut self, types: &[Parameter]) -> Values {
        let mut values = Values::default();
        for value in types {
            self.value(&value.ty, value.handle, &mut values, 0);
        }
        values
    }

    fn value(&mut self, ty: &Type, declared: Option<Declaration>, out: &mut Values, depth: u32) {
        match *ty {
            Type::Plain(name) => self.plain(name, out),
            Type::Handle { declared: own, .. } => {
                let kinds = declared.map_or(own, |declared| declared.and(own)).kinds;
                let kinds: Vec<_> = kinds.iter().filter(|kind| *kind != Kind::Timer).collect();
                let kind = kinds[self.below(kinds.len())];
                self.handle(Some(kind), out);
            }
            Type::Object(_) => self.handle(None, out),
            Type::Option(inner) => match self.below(3) {
                0 => out.bytes.push(0),
                _ if depth > 6 => out.bytes.push(0),
                _ => {
                    out.bytes.push(1);
                    self.value(inner, declared, out, depth + 1);
                }
            },
            Type::List(inner) => {
                let len = self.below(5);
                out.bytes.extend((len as u32).to_le_bytes());
                (0..len).for_each(|_| self.value(inner, declared, out, depth + 1));
            }
            Type::Map(key, value) => {
                out.bytes.extend(1_u32.to_le_bytes());
                self.value(key, declared, out, depth + 1);
                self.value(value, declared, out, depth + 1);
            }
            Type::Array(inner, len) => {
                (0..len).for_each(|_| self.value(inner, declared, out, depth + 1));
            }
            Type::Tuple(parts) => {
                parts.iter().for_each(|part| self.value(part, declared, out, depth + 1));
            }
            Type::Named { definition, .. } => {
                let definition = definition();
                let (start, first) = (out.bytes.len(), out.handles.len());
                let is_growable = matches!(
                    definition,
                    Definition::GrowableStruct(_) | Definition::GrowableEnum { .. }
                );
                if is_growable {
                    out.bytes.extend([0; 8]);
                }
                let fields = match definition {
                    Definition::Struct(fields) | Definition::GrowableStruct(fields) => fields,
                    Definition::Enum(variants) | Definition::GrowableEnum { variants, .. } => {
                        let place = self.below(variants.len());
                        out.bytes.extend((place as u32).to_le_bytes());
                        variants[place].fields
                    }
                };
                for field in fields {
                    self.value(&field.ty, field.handle.or(declared), out, depth + 1);
                }
                if is_growable {
                    let size = (out.bytes.len() - start - 8) as u32;
                    let handles = (out.handles.len() - first) as u16;
                    out.bytes[start..start + 4].copy_from_slice(&size.to_le_bytes());
                    out.bytes[start + 4..start + 6].copy_from_slice(&handles.to_le_bytes());
                }
            }
            _ => panic!("a value of {ty:?}"),
        }
    }

    fn handle(&mut self, kind: Option<Kind>, out: &mut Values) {
        out.bytes.extend((out.handles.len() as u16).to_le_bytes());
        let value = (self.next() >> 16 | 1) << 2;
        out.handles.push(RawLentHandle { value, kind });
    }

    fn plain(&mut self, name: &str, out: &mut Values) {
        let number = self.next().to_le_bytes();
        let len = match name {
            "()" => return out.bytes.push(0),
            "bool" => return out.bytes.push(number[0] & 1),
            "u8" | "i8" | "NonZeroU8" => 1,
            "u16" | "i16" | "NonZeroI16" => 2,
            "u32" | "i32" | "f32" | "NonZeroU32" | "Ipv4Addr" => 4,
            "SocketAddrV4" => 6,
            "u64" | "i64" | "f64" | "usize" | "NonZeroU64" => 8,
            "SystemTime" => {
                out.bytes.extend(number);
                4
            }
            "u128" | "NonZeroI128" | "Guid" | "Ipv6Addr" => {
                out.bytes.extend(number);
                8
            }
            "SocketAddrV6" => {
                out.bytes.extend([number, number, number].concat());
                2
            }
            "IpAddr" | "SocketAddr" => {
                let is_v4 = self.below(2) == 0;
                out.bytes.push(if is_v4 { 4 } else { 6 });
                return self.plain(
                    match (name, is_v4) {
                        ("IpAddr", true) => "Ipv4Addr",
                        ("IpAddr", false) => "Ipv6Addr",
                        (_, true) => "SocketAddrV4",
                        (_, false) => "SocketAddrV6",
                    },
                    out,
                );
            }
            "io::Error" if self.below(2) == 0 => {
                out.bytes.push(1);
                4
            }
            "io::Error" => {
                out.bytes.extend([2, number[0]]);
                return self.plain("String", out);
            }
            "String" | "OsString" => {
                let texts = ["", "sparkly", "größer", "\u{1f37d}\u{fe0f} dishes", "\u{ffff}"];
                let text = texts[self.below(texts.len())];
                out.bytes.extend((text.len() as u32).to_le_bytes());
                return out.bytes.extend(text.as_bytes());
            }
            other => panic!("a value of {other}"),
        };
        out.bytes.extend(&number[..len]);
    }
}
