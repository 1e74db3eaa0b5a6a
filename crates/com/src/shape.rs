//! The memory layout that MIDL would give to a type of an interface: its *shape*.
//!
//! A type that MIDL can't express has no shape, and makes its method opaque.

use std::sync::Arc;

use syshandle_os::{Declaration, Kinds};
use syshandle_types::Guid;
use syshandle_types::describe::{Definition, Parameter, Type};

use crate::kinds;

/// The memory layout of a value on 64-bit Windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A number of fixed width. Its layout in memory is the same as in this project's encoding.
    Number(Number),
    /// A `BOOL`: four bytes, 0 for false.
    Bool,
    /// An enum whose variants have no data: four bytes.
    Enum(Arc<Enumeration>),
    /// A `GUID`.
    Guid,
    /// A struct, laid out as in C.
    Struct(Arc<Structure>),
    /// An array of fixed length. Occurs only in structs, with numbers, booleans or GUIDs as items.
    Array(Arc<Shape>, u32),
    /// A pointer to a zero-terminated UTF-16 string.
    Text,
    /// A list: an item count, and a pointer to that many items.
    List(Arc<Shape>),
    /// An optional value: a pointer, which is NULL if there is no value.
    Optional(Arc<Shape>),
    /// A handle. Contains MIDL's number for its kind.
    Handle(u8),
    /// An optional handle: a count of 1 or 0, and a pointer to that many handles. A NULL handle is
    /// not used for this, because MIDL doesn't define its meaning.
    OptionalHandle(Arc<Shape>),
    /// An interface pointer.
    Object(Guid),
    /// An interface pointer, which may be NULL.
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

/// An enum whose variants have no data. `values` contains each variant's COM value, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Enumeration {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<i32>,
}

/// The layout of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
    pub(crate) size: u32,
    pub(crate) align: u32,
}

/// The layout of a field in a struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    /// The offset in the struct. For a list, the offset of the count; the pointer follows at the
    /// next multiple of 8.
    pub(crate) offset: u32,
    pub(crate) shape: Shape,
}

/// The position of a type in a method's signature. Some types are allowed only in certain
/// positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TypePosition {
    /// The type of a parameter or result.
    Top,
    /// The item or pointee type of a parameter or result.
    TopItem,
    /// The type of a struct's field.
    Field,
    /// The item or pointee type of a field.
    FieldItem,
}

impl TypePosition {
    /// Returns the position of the item type of a list or optional in this position. Returns `None`
    /// if lists and optionals aren't allowed here, because items can't have a count of their own.
    fn items(self) -> Option<Self> {
        match self {
            Self::Top => Some(Self::TopItem),
            Self::Field => Some(Self::FieldItem),
            Self::TopItem | Self::FieldItem => None,
        }
    }

    /// Returns whether a handle is allowed in this position. MIDL allows handles in parameters, but
    /// not in structs.
    fn has_handles(self) -> bool {
        matches!(self, Self::Top | Self::TopItem)
    }
}

impl Shape {
    /// Returns the shape of a parameter or result, or `None` if MIDL can't express its type.
    pub(crate) fn of(parameter: &Parameter) -> Option<Self> {
        ShapeSearch { left: SHAPES_MAX }.shape(
            &parameter.ty,
            parameter.handle,
            TypePosition::Top,
            DEPTH_MAX,
        )
    }

    /// Returns the size in memory. For a list in a struct, this is approximate: the actual size
    /// depends on the offset of the list's count.
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

    /// Returns the alignment in memory.
    pub(crate) fn align(&self) -> u32 {
        match self {
            Self::Guid | Self::List(_) | Self::OptionalHandle(_) => 4,
            Self::Struct(of) => of.align,
            Self::Array(item, _) => item.align(),
            _ => self.size(),
        }
    }

    /// Returns the alignment on the wire.
    pub(crate) fn wire_align(&self) -> u32 {
        match self {
            Self::Enum(of) if of.is_short() => 2,
            Self::Struct(of) => {
                of.fields.iter().map(|field| field.shape.wire_align()).max().unwrap_or(1)
            }
            Self::Array(item, _) => item.wire_align(),
            // A pointer takes four bytes on the wire on every machine.
            Self::Text | Self::List(_) | Self::OptionalHandle(_) | Self::Optional(_) => 4,
            // MIDL's arrays of handles are not aligned.
            Self::Handle(_) => 1,
            _ => self.align(),
        }
    }

    /// Returns whether the layouts in memory and on the wire are the same.
    pub(crate) fn is_simple(&self) -> bool {
        match self {
            Self::Number(_) | Self::Bool | Self::Guid => true,
            Self::Enum(of) => !of.is_short(),
            Self::Struct(of) => of.is_simple(),
            Self::Array(item, _) => item.is_simple(),
            _ => false,
        }
    }

    /// Returns the item type if the value is passed as a count and a pointer.
    pub(crate) fn counted(&self) -> Option<&Self> {
        match self {
            Self::List(item) | Self::OptionalHandle(item) => Some(item),
            _ => None,
        }
    }

    /// Returns whether the value fits into a register and is passed by value.
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
    /// Returns the number type that has this name in Rust.
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

    /// Returns the size in bytes.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Returns whether the integer is signed.
    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }
}

impl Enumeration {
    /// Returns the shape of an enum. Returns `None` if a variant has data or if two variants have
    /// the same value.
    pub(crate) fn of(ty: &Type) -> Option<Self> {
        let Type::Named { name, definition, .. } = ty else { return None };
        let Definition::Enum(variants) = definition() else { return None };
        let mut values = Vec::new();
        for variant in variants {
            // The value of a variant may be written as `i32` or as `u32`, such as 0x80070005.
            let value = i32::try_from(variant.value)
                .or_else(|_| u32::try_from(variant.value).map(|value| value as i32));
            let value = value.ok().filter(|_| variant.fields.is_empty())?;
            // -1 and 0xFFFFFFFF are the same value of a C enum.
            if values.contains(&value) {
                return None;
            }
            values.push(value);
        }
        Some(Self { name, values })
    }

    /// Returns the name of the variant with this index.
    pub(crate) fn variant(ty: &Type, index: usize) -> Option<&'static str> {
        let Type::Named { definition, .. } = ty else { return None };
        let Definition::Enum(variants) = definition() else { return None };
        variants.get(index).map(|variant| variant.name)
    }

    /// Returns whether the values fit into MIDL's default enum type, which takes two bytes on the
    /// wire and has no negative values. An enum that doesn't fit is declared `v1_enum`.
    pub(crate) fn is_short(&self) -> bool {
        self.values.iter().all(|value| (0..=i32::from(i16::MAX)).contains(value))
    }

    /// Returns the value of the variant with this index.
    pub(crate) fn value(&self, index: u32) -> Option<i32> {
        self.values.get(index as usize).copied()
    }

    /// Returns the index of the variant with this value.
    pub(crate) fn index_of(&self, value: i32) -> Option<u32> {
        let index = self.values.iter().position(|known| *known == value)?;
        u32::try_from(index).ok()
    }
}

impl Structure {
    /// Lays out fields as a C compiler does. Returns `None` if the struct is too large.
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

    /// Returns whether the layouts in memory and on the wire are the same. Returns `false` for a
    /// struct with padding at its end.
    fn is_simple(&self) -> bool {
        let end = self.fields.last().map_or(0, |field| field.offset + field.shape.size());
        end == self.size && self.fields.iter().all(|field| field.shape.is_simple())
    }
}

impl Field {
    /// Returns the offset of a list's pointer, given the offset of its count.
    pub(crate) fn pointer_behind(count: u32) -> u32 {
        (count + 4).next_multiple_of(8)
    }
}

/// Determines the shape of a type. Fails if the type consists of too many shapes.
struct ShapeSearch {
    left: u32,
}

impl ShapeSearch {
    fn shape(
        &mut self,
        ty: &Type,
        declared: Option<Declaration>,
        position: TypePosition,
        depth: u32,
    ) -> Option<Shape> {
        self.left = self.left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        match *ty {
            Type::Plain("bool") => Some(Shape::Bool),
            Type::Plain("Guid") => Some(Shape::Guid),
            Type::Plain("String") => Some(Shape::Text),
            Type::Plain(name) => Number::of(name).map(Shape::Number),
            Type::Handle { declared: own, .. } if position.has_handles() => {
                handle(declared.map_or(own, |declared| declared.and(own)).kinds)
            }
            Type::Object(interface) if position == TypePosition::Top => {
                Some(Shape::Object(interface().iid))
            }
            Type::Option(&Type::Object(interface)) if position == TypePosition::Top => {
                Some(Shape::OptionalObject(interface().iid))
            }
            Type::List(item) => {
                let item = self.shape(item, declared, position.items()?, depth)?;
                Some(Shape::List(Arc::new(item)))
            }
            Type::Option(inner) => {
                let inner = Arc::new(self.shape(inner, declared, position.items()?, depth)?);
                Some(match *inner {
                    Shape::Handle(_) => Shape::OptionalHandle(inner),
                    _ => Shape::Optional(inner),
                })
            }
            Type::Array(item, len) if position == TypePosition::Field && len > 0 => {
                let item = self.shape(item, declared, TypePosition::FieldItem, depth)?;
                let len = u32::try_from(len).ok()?;
                let size = item.size().checked_mul(len)?;
                // Wine loses the fields after an array whose items have different layouts in memory
                // and on the wire.
                let is_plain = matches!(item, Shape::Number(_) | Shape::Bool | Shape::Guid);
                (size <= STRUCT_BYTES_MAX && is_plain).then(|| Shape::Array(Arc::new(item), len))
            }
            Type::Named { name, definition, .. } => match definition() {
                // A C program compiles the layout of a type into its code, so the type can't grow.
                Definition::GrowableStruct(_) | Definition::GrowableEnum { .. } => None,
                Definition::Enum(_) => Enumeration::of(ty).map(|of| Shape::Enum(Arc::new(of))),
                Definition::Struct([]) => None,
                Definition::Struct(fields) => {
                    let shapes = fields.iter().map(|field| {
                        self.shape(&field.ty, field.handle.or(declared), TypePosition::Field, depth)
                    });
                    let shapes = shapes.collect::<Option<_>>()?;
                    Structure::lay_out(name, shapes).map(|of| Shape::Struct(Arc::new(of)))
                }
            },
            _ => None,
        }
    }
}

/// Returns the shape of a handle. Returns `None` if several kinds are declared, or if MIDL doesn't
/// have the declared kind.
fn handle(declared: Kinds) -> Option<Shape> {
    match kinds::numbers(declared)[..] {
        [number] if !declared.contains(syshandle_os::Kind::Timer) => Some(Shape::Handle(number)),
        _ => None,
    }
}

/// Maximum size of a struct, or of an array in a struct, in bytes. NDR stores the size in 16 bits.
const STRUCT_BYTES_MAX: u32 = 65_528;

/// Maximum nesting depth of a type. Ends the recursion for a struct that contains itself.
const DEPTH_MAX: u32 = 16;

/// Maximum number of shapes in one parameter. The limit is needed because the type string of an
/// interface can have at most 32 KiB.
const SHAPES_MAX: u32 = 2048;
