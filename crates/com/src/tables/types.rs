//! Builds the type format string.

mod aggregates;

use std::collections::HashMap;

use syshandle_types::Guid;

use crate::format_characters::*;
use crate::memory::guid_in_memory;
use crate::shape::{Number, Shape, Structure};

/// The way in which handles are transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleForm {
    /// The RPC runtime transfers handles (MIDL attribute `system_handle`). Requires Windows 10
    /// 1607.
    System,
    /// Routines of this crate transfer handles (MIDL attribute `user_marshal`). The number of the
    /// handle's kind selects the routines. Needed for Wine, which doesn't support `system_handle`.
    UserMarshal,
}

/// Builds a type format string. Each type is written only once.
pub(super) struct TypeFormatString {
    bytes: Vec<u8>,
    known: HashMap<TypeDescriptor, usize>,
    form: HandleForm,
    /// Whether an offset between two entries exceeds 16 bits.
    is_too_large: bool,
}

/// A type that has an entry in the type string. Identifies entries that are already written.
#[derive(Clone, PartialEq, Eq, Hash)]
enum TypeDescriptor {
    Handle(u8),
    /// The wire representation of a handle that `user_marshal` routines transfer.
    HandleOnWire,
    Interface(Guid),
    Structure(Structure),
    FixedArray(Shape, u32),
    GuidBytes,
    Guid,
    CountedArray(Shape, CountLocation),
    /// A pointer to a shape. The first number is the pointer's format character, the second its
    /// attributes.
    Pointer(u8, u8, Shape),
    CountedPointer(u8, u8, Shape, CountLocation),
    /// A pointer to a pointer.
    Double(Shape, Option<CountLocation>),
}

/// The location of an array's item count.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CountLocation {
    /// The parameter at this stack offset.
    Parameter(u16),
    /// The pointee of the parameter at this stack offset.
    Pointee(u16),
    /// The field at this offset of the struct that contains the array's pointer.
    Field(u16),
}

impl TypeFormatString {
    pub(super) fn new(form: HandleForm) -> Self {
        Self { bytes: vec![0, 0], known: HashMap::new(), form, is_too_large: false }
    }

    /// Returns the finished type string.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    /// Returns whether all types written so far fit into the type string.
    pub(super) fn fits(&self) -> bool {
        !self.is_too_large && self.bytes.len() <= BYTES_MAX
    }

    /// Returns the entry's offset for an \[in\] parameter that isn't a number. If the parameter is
    /// passed by reference, this is the entry of its pointee.
    pub(super) fn parameter(&mut self, shape: &Shape, count: CountLocation) -> usize {
        match shape {
            Shape::Handle(number) => self.handle(*number),
            Shape::Object(iid) | Shape::OptionalObject(iid) => self.interface(*iid),
            Shape::Optional(inner) => self.pointer(FC_UP, 0, inner),
            Shape::List(item) | Shape::OptionalHandle(item) => {
                self.counted_pointer(FC_RP, 0, item, count);
                self.counted_array(item, count)
            }
            other => {
                let pointer = self.pointer(FC_RP, 0, other);
                self.pointee(pointer, other)
            }
        }
    }

    /// Returns the entry's offset for an \[out\] parameter: the entry of its pointer, or of its
    /// pointee if the procedure string can refer to the pointee directly.
    pub(super) fn result(&mut self, shape: &Shape, count: CountLocation) -> usize {
        match shape {
            Shape::Handle(_) => {
                let pointer = self.pointer(FC_RP, ALLOCED_ON_STACK, shape);
                self.pointee(pointer, shape)
            }
            Shape::Struct(_) | Shape::Guid => {
                let on_stack = if is_on_stack(shape) { ALLOCED_ON_STACK } else { 0 };
                let pointer = self.pointer(FC_RP, on_stack, shape);
                self.pointee(pointer, shape)
            }
            Shape::Object(_) | Shape::OptionalObject(_) => {
                self.pointer(FC_RP, POINTER_DEREF, shape)
            }
            Shape::Text | Shape::Optional(_) => self.pointer_to_pointer(shape, None),
            Shape::List(_) | Shape::OptionalHandle(_) => {
                self.pointer_to_pointer(shape, Some(count))
            }
            Shape::Number(_) | Shape::Bool | Shape::Enum(_) | Shape::Array(..) => {
                self.pointer(FC_RP, ALLOCED_ON_STACK, shape)
            }
        }
    }

    /// Returns the format character of a type that needs no entry in the type string.
    pub(super) fn character(shape: &Shape) -> Option<u8> {
        Some(match shape {
            Shape::Number(number) => match number {
                Number::U8 => FC_BYTE,
                Number::I8 => FC_SMALL,
                // MIDL uses the signed code where the sign doesn't matter.
                Number::U16 | Number::I16 => FC_SHORT,
                Number::U32 | Number::I32 => FC_LONG,
                Number::U64 | Number::I64 => FC_HYPER,
                Number::F32 => FC_FLOAT,
                Number::F64 => FC_DOUBLE,
            },
            Shape::Bool => FC_LONG,
            Shape::Enum(of) if of.is_short() => FC_ENUM16,
            Shape::Enum(_) => FC_ENUM32,
            _ => return None,
        })
    }

    /// Returns the offset of the entry for a pointer to a type other than an array, for example `11
    /// 04 f8 ff` or `12 08 25 5c`.
    fn pointer(&mut self, kind: u8, attributes: u8, to: &Shape) -> usize {
        let entry = TypeDescriptor::Pointer(kind, attributes, to.clone());
        self.entry(entry, |types| {
            let simple = match to {
                Shape::Text => Some(FC_C_WSTRING),
                other => Self::character(other),
            };
            if let Some(character) = simple {
                types.bytes.extend([kind, attributes | SIMPLE_POINTER, character, FC_PAD]);
                return;
            }
            types.bytes.extend([kind, attributes]);
            let offset = types.reserve_offset();
            let target = types.type_descriptor(to);
            types.point(offset, target);
        })
    }

    /// Returns the offset of the entry for a pointer to an array.
    fn counted_pointer(
        &mut self,
        kind: u8,
        attributes: u8,
        item: &Shape,
        count: CountLocation,
    ) -> usize {
        let entry = TypeDescriptor::CountedPointer(kind, attributes, item.clone(), count);
        self.entry(entry, |types| {
            types.bytes.extend([kind, attributes]);
            let offset = types.reserve_offset();
            let target = types.counted_array(item, count);
            types.point(offset, target);
        })
    }

    /// Returns the offset of the entry for a reference to a pointer. Used for results whose memory
    /// the callee allocates.
    fn pointer_to_pointer(&mut self, shape: &Shape, count: Option<CountLocation>) -> usize {
        self.entry(TypeDescriptor::Double(shape.clone(), count), |types| {
            types.bytes.extend([FC_RP, ALLOCED_ON_STACK | POINTER_DEREF]);
            let offset = types.reserve_offset();
            let target = match (shape, count) {
                (Shape::List(item) | Shape::OptionalHandle(item), Some(count)) => {
                    types.counted_pointer(FC_OP, MAYBENULL_SIZEIS, item, count)
                }
                (Shape::Optional(inner), _) => types.pointer(FC_OP, 0, inner),
                (other, _) => types.pointer(FC_OP, 0, other),
            };
            types.point(offset, target);
        })
    }

    /// Returns the offset of the pointee's entry, given the offset of the pointer's entry.
    fn pointee(&mut self, pointer: usize, to: &Shape) -> usize {
        match self.bytes[pointer + 1] & SIMPLE_POINTER {
            0 => self.type_descriptor(to),
            _ => pointer + 2,
        }
    }

    /// Returns the offset of a type's entry, or 0 if the type has none.
    fn type_descriptor(&mut self, shape: &Shape) -> usize {
        match shape {
            Shape::Handle(number) => self.handle(*number),
            Shape::Object(iid) | Shape::OptionalObject(iid) => self.interface(*iid),
            Shape::Guid => self.guid(),
            Shape::Struct(of) => self.structure(of),
            Shape::Array(item, len) => self.fixed_array(item, *len),
            // A list is described by the struct or parameter that contains it. Numbers, booleans
            // and enums are described by a format character.
            Shape::Text | Shape::Optional(_) => self.pointer(FC_UP, 0, shape),
            Shape::Number(_) | Shape::Bool | Shape::Enum(_) => 0,
            Shape::List(_) | Shape::OptionalHandle(_) => 0,
        }
    }

    fn handle(&mut self, number: u8) -> usize {
        match self.form {
            HandleForm::System => self.entry(TypeDescriptor::Handle(number), |types| {
                types.bytes.extend([FC_SYSTEM_HANDLE, number, 0, 0, 0, 0]);
            }),
            HandleForm::UserMarshal => {
                let on_wire = self.entry(TypeDescriptor::HandleOnWire, |types| {
                    types.bytes.extend([FC_HYPER, FC_PAD]);
                });
                self.entry(TypeDescriptor::Handle(number), |types| {
                    // Alignment 8 (stored as 7), index of the routines, 8 bytes in memory, 8 bytes
                    // on the wire. Wine computes array sizes from the size on the wire.
                    types.bytes.extend([FC_USER_MARSHAL, 7, number, 0, 8, 0, 8, 0]);
                    let offset = types.reserve_offset();
                    types.point(offset, on_wire);
                })
            }
        }
    }

    fn interface(&mut self, iid: Guid) -> usize {
        self.entry(TypeDescriptor::Interface(iid), |types| {
            types.bytes.extend([FC_IP, FC_CONSTANT_IID]);
            types.bytes.extend(guid_in_memory(iid));
        })
    }

    fn guid(&mut self) -> usize {
        let last = self.entry(TypeDescriptor::GuidBytes, |types| {
            types.bytes.extend([FC_SMFARRAY, 0, 8, 0, FC_BYTE, FC_END]);
        });
        self.entry(TypeDescriptor::Guid, |types| {
            types.bytes.extend([FC_STRUCT, 3, 16, 0, FC_LONG, FC_SHORT, FC_SHORT]);
            types.embedded(last);
            types.bytes.push(FC_END);
        })
    }

    /// Returns the offset of an entry. Writes the entry first if the type string doesn't contain it
    /// yet.
    fn entry(&mut self, entry: TypeDescriptor, write: impl FnOnce(&mut Self)) -> usize {
        if let Some(offset) = self.known.get(&entry) {
            return *offset;
        }
        // MIDL aligns entries to even offsets.
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(FC_PAD);
        }
        let offset = self.bytes.len();
        self.known.insert(entry, offset);
        write(self);
        offset
    }

    /// Reserves two bytes for an offset that `point` writes later.
    fn reserve_offset(&mut self) -> usize {
        self.bytes.extend([0, 0]);
        self.bytes.len() - 2
    }

    /// Writes the relative offset from `from` to `target` into the reserved bytes at `from`.
    fn point(&mut self, from: usize, target: usize) {
        match i16::try_from(target as i64 - from as i64) {
            Ok(distance) => self.bytes[from..from + 2].copy_from_slice(&distance.to_le_bytes()),
            Err(_) => self.is_too_large = true,
        }
    }
}

/// Returns whether the stub keeps a result of this shape on its stack. MIDL's limit is 7 × 8 bytes.
pub(super) fn is_on_stack(shape: &Shape) -> bool {
    shape.size() <= 56
}

/// Maximum size of a type string in bytes. Its offsets have 16 bits.
const BYTES_MAX: usize = 0xffff;
