//! What a value looks like to COM: how it lies in memory, and of what parts.
//!
//! A type has a shape if MIDL has words for it. Whatever has none makes its method opaque.

use std::sync::Arc;

use syshandle_os::{Declared, Kinds};
use syshandle_wire::Guid;
use syshandle_wire::describe::{Definition, Parameter, Type};

use crate::kinds;

/// How a value lies in memory, on 64-bit Windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A number of fixed width, the same in memory and in our own form.
    Number(Number),
    /// A `BOOL`: four bytes, 0 for false.
    Bool,
    /// An enum without data: four bytes.
    Enum(Arc<Enumeration>),
    /// A `GUID`.
    Guid,
    /// A struct, as C lays it out.
    Struct(Arc<Structure>),
    /// So many values in a row; in structs only, and of numbers, truths and identifiers.
    Array(Arc<Shape>, u32),
    /// A pointer to UTF-16 that ends with a zero.
    Text,
    /// A count and a pointer to that many values.
    List(Arc<Shape>),
    /// A pointer, NULL for none.
    Optional(Arc<Shape>),
    /// A handle of this kind, by MIDL's number.
    Handle(u8),
    /// A handle or none: a count of 1 or 0, and a pointer to that many. MIDL doesn't say what a NULL
    /// handle means.
    OptionalHandle(Arc<Shape>),
    /// A pointer to an interface.
    Object(Guid),
    /// A pointer to an interface, NULL for none.
    OptionalObject(Guid),
}

/// A number of fixed width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// An enum without data: the value that COM knows each variant by, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Enumeration {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<i32>,
}

/// A struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
    pub(crate) size: u32,
    pub(crate) align: u32,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    /// Where it is. The pointer of a list is at the next multiple of 8 behind its count.
    pub(crate) offset: u32,
    pub(crate) shape: Shape,
}

/// Where a type stands: not every type can be everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A parameter, or a result.
    Top,
    /// One of a parameter's values, or what it points at.
    TopItem,
    /// A field of a struct.
    Field,
    /// One of a field's values, or what it points at.
    FieldItem,
}

impl Place {
    /// Where the items are of what is here. Items have none that need a count of their own.
    fn items(self) -> Option<Self> {
        match self {
            Self::Top => Some(Self::TopItem),
            Self::Field => Some(Self::FieldItem),
            Self::TopItem | Self::FieldItem => None,
        }
    }

    /// MIDL takes handles as parameters only, not in structs.
    fn has_handles(self) -> bool {
        matches!(self, Self::Top | Self::TopItem)
    }
}

impl Shape {
    /// The shape of a parameter or result, if MIDL has words for it.
    pub(crate) fn of(parameter: &Parameter) -> Option<Self> {
        Search { left: SHAPES_MAX }.shape(&parameter.ty, parameter.handle, Place::Top, DEPTH_MAX)
    }

    /// How many bytes it takes in memory. Those of a list depend on where its count is.
    pub(crate) fn size(&self) -> u32 {
        match self {
            Self::Number(number) => number.size(),
            Self::Bool | Self::Enum(_) => 4,
            Self::Guid => 16,
            Self::Struct(of) => of.size,
            Self::Array(item, len) => item.size() * len,
            Self::List(_) | Self::OptionalHandle(_) => 16,
            Self::Text | Self::Optional(_) | Self::Handle(_) => 8,
            Self::Object(_) | Self::OptionalObject(_) => 8,
        }
    }

    /// What its address is a multiple of.
    pub(crate) fn align(&self) -> u32 {
        match self {
            Self::Guid | Self::List(_) | Self::OptionalHandle(_) => 4,
            Self::Struct(of) => of.align,
            Self::Array(item, _) => item.align(),
            _ => self.size(),
        }
    }

    /// What its place on the wire is a multiple of.
    pub(crate) fn wire_align(&self) -> u32 {
        match self {
            Self::Enum(of) if of.is_short() => 2,
            Self::Struct(of) => {
                of.fields.iter().map(|field| field.shape.wire_align()).max().unwrap_or(1)
            }
            Self::Array(item, _) => item.wire_align(),
            // A pointer is four bytes on the wire, on every machine.
            Self::Text | Self::List(_) | Self::OptionalHandle(_) | Self::Optional(_) => 4,
            // As MIDL's arrays of handles have it.
            Self::Handle(_) => 1,
            _ => self.align(),
        }
    }

    /// Whether its form in memory is that on the wire.
    pub(crate) fn is_simple(&self) -> bool {
        match self {
            Self::Number(_) | Self::Bool | Self::Guid => true,
            Self::Enum(of) => !of.is_short(),
            Self::Struct(of) => of.is_simple(),
            Self::Array(item, _) => item.is_simple(),
            _ => false,
        }
    }

    /// What there is any number of, as a count and a pointer say.
    pub(crate) fn counted(&self) -> Option<&Self> {
        match self {
            Self::List(item) | Self::OptionalHandle(item) => Some(item),
            _ => None,
        }
    }

    /// Whether it fits a register, and so is passed by value.
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::Number(_)
                | Self::Bool
                | Self::Enum(_)
                | Self::Handle(_)
                | Self::Object(_)
                | Self::OptionalObject(_)
        )
    }
}

impl Number {
    /// The number type with this name in Rust.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "u8" => Self::U8,
            "i8" => Self::I8,
            "u16" => Self::U16,
            "i16" => Self::I16,
            "u32" => Self::U32,
            "i32" => Self::I32,
            "u64" => Self::U64,
            "i64" => Self::I64,
            "f32" => Self::F32,
            "f64" => Self::F64,
            _ => return None,
        })
    }

    /// How many bytes it has.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether it is less than zero where its first bit is set.
    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }
}

impl Enumeration {
    /// The enum of these variants, if none has data and each a value of its own.
    pub(crate) fn of(ty: &Type) -> Option<Self> {
        let Type::Named { name, definition, .. } = ty else { return None };
        let Definition::Enum(variants) = definition() else { return None };
        let mut values = Vec::new();
        for variant in variants {
            // Written with a sign or without: 0x80070005 is a value of `u32`.
            let value = i32::try_from(variant.value)
                .or_else(|_| u32::try_from(variant.value).map(|value| value as i32));
            let value = value.ok().filter(|_| variant.fields.is_empty())?;
            // C sees one number in -1 and 0xFFFFFFFF.
            if values.contains(&value) {
                return None;
            }
            values.push(value);
        }
        Some(Self { name, values })
    }

    /// The name of a variant of an enum.
    pub(crate) fn variant(ty: &Type, place: usize) -> Option<&'static str> {
        let Type::Named { definition, .. } = ty else { return None };
        let Definition::Enum(variants) = definition() else { return None };
        variants.get(place).map(|variant| variant.name)
    }

    /// Whether MIDL's own enum can hold it, which is two bytes on the wire and never negative;
    /// else it is one that says `v1_enum`.
    pub(crate) fn is_short(&self) -> bool {
        self.values.iter().all(|value| (0..=i32::from(i16::MAX)).contains(value))
    }

    /// The value of the variant at this place.
    pub(crate) fn value(&self, place: u32) -> Option<i32> {
        self.values.get(place as usize).copied()
    }

    /// The place of the variant with this value.
    pub(crate) fn place(&self, value: i32) -> Option<u32> {
        let place = self.values.iter().position(|known| *known == value)?;
        u32::try_from(place).ok()
    }
}

impl Structure {
    /// Lays fields out as C does.
    fn lay_out(name: &'static str, shapes: Vec<Shape>) -> Option<Self> {
        let (mut end, mut align) = (0_u32, 1);
        let mut fields = Vec::new();
        for shape in shapes {
            let offset = end.next_multiple_of(shape.align());
            (end, align) = match &shape {
                Shape::List(_) => (Field::pointer_behind(offset) + 8, 8),
                other => (offset.checked_add(other.size())?, align.max(other.align())),
            };
            if end > STRUCT_BYTES_MAX {
                return None;
            }
            fields.push(Field { offset, shape });
        }
        Some(Self { name, fields, size: end.next_multiple_of(align), align })
    }

    /// Whether its form in memory is that on the wire, where nothing follows its last field.
    fn is_simple(&self) -> bool {
        let end = self.fields.last().map_or(0, |field| field.offset + field.shape.size());
        end == self.size && self.fields.iter().all(|field| field.shape.is_simple())
    }
}

impl Field {
    /// Where the pointer of a list is, whose count is here.
    pub(crate) fn pointer_behind(count: u32) -> u32 {
        (count + 4).next_multiple_of(8)
    }
}

/// Looks for shapes, as long as there are not too many.
struct Search {
    left: u32,
}

impl Search {
    fn shape(
        &mut self,
        ty: &Type,
        declared: Option<Declared>,
        place: Place,
        depth: u32,
    ) -> Option<Shape> {
        self.left = self.left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        match *ty {
            Type::Plain("bool") => Some(Shape::Bool),
            Type::Plain("Guid") => Some(Shape::Guid),
            Type::Plain("String") => Some(Shape::Text),
            Type::Plain(name) => Number::of(name).map(Shape::Number),
            Type::Handle { declared: own, .. } if place.has_handles() => {
                handle(declared.map_or(own, |declared| declared.and(own)).kinds)
            }
            Type::Object(interface) if place == Place::Top => Some(Shape::Object(interface().iid)),
            Type::Option(&Type::Object(interface)) if place == Place::Top => {
                Some(Shape::OptionalObject(interface().iid))
            }
            Type::List(item) => {
                let item = self.shape(item, declared, place.items()?, depth)?;
                Some(Shape::List(Arc::new(item)))
            }
            Type::Option(inner) => {
                let inner = Arc::new(self.shape(inner, declared, place.items()?, depth)?);
                Some(match *inner {
                    Shape::Handle(_) => Shape::OptionalHandle(inner),
                    _ => Shape::Optional(inner),
                })
            }
            Type::Array(item, len) if place == Place::Field && len > 0 => {
                let item = self.shape(item, declared, Place::FieldItem, depth)?;
                let len = u32::try_from(len).ok()?;
                let size = item.size().checked_mul(len)?;
                // Wine loses what follows an array of others, where these are not on the wire as
                // they are in memory.
                let is_plain = matches!(item, Shape::Number(_) | Shape::Bool | Shape::Guid);
                (size <= STRUCT_BYTES_MAX && is_plain).then(|| Shape::Array(Arc::new(item), len))
            }
            Type::Named { name, definition, .. } => match definition() {
                Definition::Enum(_) => Enumeration::of(ty).map(|of| Shape::Enum(Arc::new(of))),
                Definition::Struct([]) => None,
                Definition::Struct(fields) => {
                    let shapes = fields.iter().map(|field| {
                        self.shape(&field.ty, field.handle.or(declared), Place::Field, depth)
                    });
                    let shapes = shapes.collect::<Option<_>>()?;
                    Structure::lay_out(name, shapes).map(|of| Shape::Struct(Arc::new(of)))
                }
            },
            _ => None,
        }
    }
}

/// A handle, if it is of one kind, and MIDL has that.
fn handle(declared: Kinds) -> Option<Shape> {
    match kinds::numbers(declared)[..] {
        [number] if !declared.contains(syshandle_os::Kind::Timer) => Some(Shape::Handle(number)),
        _ => None,
    }
}

/// The largest struct, and array within one: NDR has 16 bits for its size.
const STRUCT_BYTES_MAX: u32 = 65_528;

/// Structs within structs: one that contains itself has no end.
const DEPTH_MAX: u32 = 16;

/// Shapes within one parameter's: a table has 32 KiB for all.
const SHAPES_MAX: u32 = 2048;
