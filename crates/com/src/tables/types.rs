//! The type format string.

use std::collections::HashMap;

use syshandle_types::Guid;

use crate::format_characters::*;
use crate::memory::guid_in_memory;
use crate::shape::{Field, Number, Shape, Structure};

/// The method of transferring handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleForm {
    /// The RPC runtime transfers the handle: MIDL's `system_handle`. Requires Windows 10 1607.
    System,
    /// Routines of this crate transfer the handle, selected by the kind's number: `user_marshal`.
    /// Needed on Wine, which doesn't support `system_handle`.
    UserMarshal,
}

/// Writes a type string, with each type once.
pub(super) struct TypeFormatString {
    bytes: Vec<u8>,
    known: HashMap<TypeDescriptor, usize>,
    form: HandleForm,
    /// Whether some offset between entries exceeds 16 bits.
    is_too_large: bool,
}

/// A type with an entry in the type string.
#[derive(Clone, PartialEq, Eq, Hash)]
enum TypeDescriptor {
    Handle(u8),
    /// The wire form of a handle that `user_marshal` routines transfer.
    HandleOnWire,
    Interface(Guid),
    Structure(Structure),
    FixedArray(Shape, u32),
    GuidBytes,
    Guid,
    CountedArray(Shape, CountLocation),
    /// A pointer of this type, with these attributes, to this shape.
    Pointer(u8, u8, Shape),
    CountedPointer(u8, u8, Shape, CountLocation),
    /// A pointer to a pointer.
    Double(Shape, Option<CountLocation>),
}

/// The location of an array's count.
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

    /// The finished string.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    /// Whether all types so far fit into the string.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_too_large && self.bytes.len() <= BYTES_MAX
    }

    /// The entry of an \[in\] parameter that isn't a number. For a parameter that is passed by
    /// reference, the entry of the pointee.
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

    /// The entry of an \[out\] parameter's pointer, or of its pointee if the procedure string can
    /// refer to that directly.
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

    /// The format character of a type that has no entry.
    pub(super) fn character(shape: &Shape) -> Option<u8> {
        Some(match shape {
            Shape::Number(number) => match number {
                Number::U8 => FC_BYTE,
                Number::I8 => FC_SMALL,
                // MIDL omits the sign if nothing depends on it.
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

    /// The entry of a pointer to a type other than an array: `11 04 f8 ff`, or `12 08 25 5c`.
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
            let place = types.reserve_offset();
            let target = types.complex(to);
            types.point(place, target);
        })
    }

    /// The entry of a pointer to an array.
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
            let place = types.reserve_offset();
            let target = types.counted_array(item, count);
            types.point(place, target);
        })
    }

    /// The entry of a reference to a pointer, for results that have their own memory.
    fn pointer_to_pointer(&mut self, shape: &Shape, count: Option<CountLocation>) -> usize {
        self.entry(TypeDescriptor::Double(shape.clone(), count), |types| {
            types.bytes.extend([FC_RP, ALLOCED_ON_STACK | POINTER_DEREF]);
            let place = types.reserve_offset();
            let target = match (shape, count) {
                (Shape::List(item) | Shape::OptionalHandle(item), Some(count)) => {
                    types.counted_pointer(FC_OP, MAYBENULL_SIZEIS, item, count)
                }
                (Shape::Optional(inner), _) => types.pointer(FC_OP, 0, inner),
                (other, _) => types.pointer(FC_OP, 0, other),
            };
            types.point(place, target);
        })
    }

    /// The entry of the type that a pointer's entry refers to.
    fn pointee(&mut self, pointer: usize, to: &Shape) -> usize {
        match self.bytes[pointer + 1] & SIMPLE_POINTER {
            0 => self.complex(to),
            _ => pointer + 2,
        }
    }

    /// The entry of a type; 0 for a type without one.
    fn complex(&mut self, shape: &Shape) -> usize {
        match shape {
            Shape::Handle(number) => self.handle(*number),
            Shape::Object(iid) | Shape::OptionalObject(iid) => self.interface(*iid),
            Shape::Guid => self.guid(),
            Shape::Struct(of) => self.structure(of),
            Shape::Array(item, len) => self.fixed_array(item, *len),
            // Lists are described by the struct or parameter that has them, the others by a format
            // character.
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
                    // Alignment 8 (stored minus one), index of the routines, 8 bytes in memory, 8
                    // bytes on the wire. Wine needs the wire size, because it computes the size of
                    // an array from it.
                    types.bytes.extend([FC_USER_MARSHAL, 7, number, 0, 8, 0, 8, 0]);
                    let place = types.reserve_offset();
                    types.point(place, on_wire);
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

    fn structure(&mut self, of: &Structure) -> usize {
        if let Some(place) = self.known.get(&TypeDescriptor::Structure(of.clone())) {
            return *place;
        }
        // Types that are embedded in the struct are written before it.
        let inner: Vec<_> = of.fields.iter().map(|field| self.embeddable(&field.shape)).collect();
        let simple = Shape::Struct(of.clone().into()).is_simple();
        self.entry(TypeDescriptor::Structure(of.clone()), |types| {
            let align = types.wire_align(of.fields.iter().map(|field| &field.shape));
            types.bytes.extend([if simple { FC_STRUCT } else { FC_BOGUS_STRUCT }, align - 1]);
            types.bytes.extend((of.size as u16).to_le_bytes());
            let pointers = (!simple).then(|| {
                // Offset of a conformant array at the end of the struct: none.
                types.bytes.extend([0, 0]);
                types.reserve_offset()
            });
            let members = types.bytes.len();
            types.members(of, &inner);
            if (types.bytes.len() - members) % 2 == 0 {
                types.bytes.push(FC_PAD);
            }
            types.bytes.push(FC_END);
            if let Some(place) = pointers.filter(|_| of.fields.iter().any(has_pointer)) {
                let target = types.bytes.len();
                types.point(place, target);
                types.pointers(of);
            }
        })
    }

    /// The entry of a field's or item's type, if the type is embedded.
    fn embeddable(&mut self, shape: &Shape) -> Option<usize> {
        matches!(shape, Shape::Guid | Shape::Struct(_) | Shape::Array(..))
            .then(|| self.complex(shape))
    }

    /// Writes the fields of a struct and the padding between them.
    fn members(&mut self, of: &Structure, inner: &[Option<usize>]) {
        let mut end = 0;
        for (field, inner) in of.fields.iter().zip(inner) {
            self.padding(field.offset - end);
            end = field.offset + field.shape.size();
            match (&field.shape, inner) {
                (shape, _) if shape.counted().is_some() => {
                    let pointer = Field::pointer_behind(field.offset);
                    self.bytes.push(FC_LONG);
                    self.padding(pointer - field.offset - 4);
                    self.bytes.push(FC_POINTER);
                    end = pointer + 8;
                }
                (_, Some(place)) => self.embedded(*place),
                (shape, None) => self.bytes.push(Self::character(shape).unwrap_or(FC_POINTER)),
            }
        }
        self.padding(of.size - end);
    }

    fn padding(&mut self, bytes: u32) {
        if let 1..8 = bytes {
            self.bytes.push(FC_STRUCTPAD1 + bytes as u8 - 1);
        }
    }

    fn embedded(&mut self, target: usize) {
        self.bytes.extend([FC_EMBEDDED_COMPLEX, 0]);
        let place = self.reserve_offset();
        self.point(place, target);
    }

    /// Writes the pointer layout of a struct, with four bytes per pointer, and then the entries of
    /// pointees that aren't written yet.
    fn pointers(&mut self, of: &Structure) {
        let mut open = Vec::new();
        for field in of.fields.iter().filter(|field| has_pointer(field)) {
            let (simple, attributes) = match &field.shape {
                Shape::Text => (Some(FC_C_WSTRING), 0),
                Shape::Optional(inner) if **inner == Shape::Text => (Some(FC_C_WSTRING), 0),
                Shape::Optional(inner) => (Self::character(inner), 0),
                _ => (None, MAYBENULL_SIZEIS),
            };
            match simple {
                Some(character) => self.bytes.extend([FC_UP, SIMPLE_POINTER, character, FC_PAD]),
                None => {
                    self.bytes.extend([FC_UP, attributes]);
                    open.push((self.reserve_offset(), field));
                }
            }
        }
        for (place, field) in open {
            let target = match &field.shape {
                Shape::Optional(inner) => self.complex(inner),
                shape => match shape.counted() {
                    Some(item) => {
                        self.counted_array(item, CountLocation::Field(field.offset as u16))
                    }
                    None => continue,
                },
            };
            self.point(place, target);
        }
    }

    /// The entry of an array within a struct. Its items have the same layout in memory and on the
    /// wire.
    fn fixed_array(&mut self, item: &Shape, len: u32) -> usize {
        let inner = self.embeddable(item);
        self.entry(TypeDescriptor::FixedArray(item.clone(), len), |types| {
            let align = types.wire_align([item]) - 1;
            types.bytes.extend([FC_SMFARRAY, align]);
            types.bytes.extend(((item.size() * len) as u16).to_le_bytes());
            types.item(item, inner);
        })
    }

    fn counted_array(&mut self, item: &Shape, count: CountLocation) -> usize {
        let entry = TypeDescriptor::CountedArray(item.clone(), count);
        if let Some(place) = self.known.get(&entry) {
            return *place;
        }
        let inner = match item {
            Shape::Handle(_) => Some(self.complex(item)),
            other => self.embeddable(other),
        };
        self.entry(entry, |types| {
            let align = types.wire_align([item]) - 1;
            if item.is_simple() {
                types.bytes.extend([FC_CARRAY, align]);
                types.bytes.extend((item.size() as u16).to_le_bytes());
                types.count(count);
            } else {
                types.bytes.extend([FC_BOGUS_ARRAY, align, 0, 0]);
                types.count(count);
                types.no_correlation();
            }
            types.item(item, inner);
        })
    }

    /// Writes the item type of an array, and the end of the array.
    fn item(&mut self, item: &Shape, inner: Option<usize>) {
        match (item, inner) {
            (Shape::Text, _) => {
                self.bytes.extend([FC_UP, SIMPLE_POINTER, FC_C_WSTRING, FC_PAD, FC_PAD]);
            }
            (_, Some(place)) => {
                self.embedded(place);
                self.bytes.push(FC_PAD);
            }
            (other, None) => self.bytes.extend(Self::character(other)),
        }
        self.bytes.push(FC_END);
    }

    fn count(&mut self, count: CountLocation) {
        let (source, operator, offset) = match count {
            CountLocation::Parameter(stack) => (COUNT_IS_PARAMETER, 0, stack),
            CountLocation::Pointee(stack) => (COUNT_IS_PARAMETER, FC_DEREFERENCE, stack),
            CountLocation::Field(offset) => (COUNT_IS_FIELD, 0, offset),
        };
        self.bytes.extend([source, operator]);
        self.bytes.extend(offset.to_le_bytes());
        self.bytes.extend(COUNT_IS_EARLY.to_le_bytes());
    }

    fn no_correlation(&mut self) {
        self.bytes.extend([0xff, 0xff, 0xff, 0xff, 0, 0]);
    }

    /// The largest alignment of these shapes on the wire.
    fn wire_align<'s>(&self, shapes: impl IntoIterator<Item = &'s Shape>) -> u8 {
        let handle = |shape: &Shape| {
            self.form == HandleForm::UserMarshal && matches!(shape, Shape::Handle(_))
        };
        let align = |shape: &Shape| if handle(shape) { 8 } else { shape.wire_align() };
        shapes.into_iter().map(align).max().unwrap_or(1) as u8
    }

    /// Returns the offset of an entry, and writes the entry if it is new.
    fn entry(&mut self, entry: TypeDescriptor, write: impl FnOnce(&mut Self)) -> usize {
        if let Some(place) = self.known.get(&entry) {
            return *place;
        }
        // MIDL's entries have even offsets.
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(FC_PAD);
        }
        let place = self.bytes.len();
        self.known.insert(entry, place);
        write(self);
        place
    }

    /// Reserves two bytes for an offset that `point` writes later.
    fn reserve_offset(&mut self) -> usize {
        self.bytes.extend([0, 0]);
        self.bytes.len() - 2
    }

    /// Writes the relative offset from `place` to `target`.
    fn point(&mut self, place: usize, target: usize) {
        match i16::try_from(target as i64 - place as i64) {
            Ok(offset) => self.bytes[place..place + 2].copy_from_slice(&offset.to_le_bytes()),
            Err(_) => self.is_too_large = true,
        }
    }
}

/// Whether the stub keeps a result of this shape on its stack. As in MIDL, the limit is 7 × 8
/// bytes.
pub(super) fn is_on_stack(shape: &Shape) -> bool {
    shape.size() <= 56
}

fn has_pointer(field: &Field) -> bool {
    matches!(field.shape, Shape::Text | Shape::Optional(_)) || field.shape.counted().is_some()
}

/// Most bytes of a type string, because its offsets have 16 bits.
const BYTES_MAX: usize = 0xffff;
