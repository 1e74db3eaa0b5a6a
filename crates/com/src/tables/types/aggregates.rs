//! Builds the descriptors of structs and arrays in the type format string.

use super::{CountLocation, HandleForm, TypeDescriptor, TypeFormatString};
use crate::format_characters::*;
use crate::shape::{Field, Shape, Structure};

impl TypeFormatString {
    pub(super) fn structure(&mut self, of: &Structure) -> usize {
        if let Some(offset) = self.known.get(&TypeDescriptor::Structure(of.clone())) {
            return *offset;
        }
        // Types of embedded members are written before the struct.
        let inner: Vec<_> = of.fields.iter().map(|field| self.embeddable(&field.shape)).collect();
        let simple = Shape::Struct(of.clone().into()).is_simple();
        self.entry(TypeDescriptor::Structure(of.clone()), |types| {
            let align = types.wire_align(of.fields.iter().map(|field| &field.shape));
            types.bytes.extend([if simple { FC_STRUCT } else { FC_BOGUS_STRUCT }, align - 1]);
            types.bytes.extend((of.size as u16).to_le_bytes());
            let pointers = (!simple).then(|| {
                // The offset of a conformant array at the end of the struct: there is none.
                types.bytes.extend([0, 0]);
                types.reserve_offset()
            });
            let members = types.bytes.len();
            types.members(of, &inner);
            if (types.bytes.len() - members) % 2 == 0 {
                types.bytes.push(FC_PAD);
            }
            types.bytes.push(FC_END);
            if let Some(offset) = pointers.filter(|_| of.fields.iter().any(has_pointer)) {
                let target = types.bytes.len();
                types.point(offset, target);
                types.pointers(of);
            }
        })
    }

    /// Returns the offset of the entry for a field or item whose type is embedded. Returns `None`
    /// if the type isn't embedded.
    fn embeddable(&mut self, shape: &Shape) -> Option<usize> {
        matches!(shape, Shape::Guid | Shape::Struct(_) | Shape::Array(..))
            .then(|| self.type_descriptor(shape))
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
                (_, Some(offset)) => self.embedded(*offset),
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

    pub(super) fn embedded(&mut self, target: usize) {
        self.bytes.extend([FC_EMBEDDED_COMPLEX, 0]);
        let offset = self.reserve_offset();
        self.point(offset, target);
    }

    /// Writes the pointer layout of a struct (four bytes per pointer), followed by the entries of
    /// pointees that aren't in the type string yet.
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
        for (offset, field) in open {
            let target = match &field.shape {
                Shape::Optional(inner) => self.type_descriptor(inner),
                shape => match shape.counted() {
                    Some(item) => {
                        self.counted_array(item, CountLocation::Field(field.offset as u16))
                    }
                    None => continue,
                },
            };
            self.point(offset, target);
        }
    }

    /// Returns the offset of the entry for an array in a struct. The items have the same layout in
    /// memory and on the wire.
    pub(super) fn fixed_array(&mut self, item: &Shape, len: u32) -> usize {
        let inner = self.embeddable(item);
        self.entry(TypeDescriptor::FixedArray(item.clone(), len), |types| {
            let align = types.wire_align([item]) - 1;
            types.bytes.extend([FC_SMFARRAY, align]);
            types.bytes.extend(((item.size() * len) as u16).to_le_bytes());
            types.item(item, inner);
        })
    }

    pub(super) fn counted_array(&mut self, item: &Shape, count: CountLocation) -> usize {
        let entry = TypeDescriptor::CountedArray(item.clone(), count);
        if let Some(offset) = self.known.get(&entry) {
            return *offset;
        }
        let inner = match item {
            Shape::Handle(_) => Some(self.type_descriptor(item)),
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

    /// Writes the item type of an array and the end marker.
    fn item(&mut self, item: &Shape, inner: Option<usize>) {
        match (item, inner) {
            (Shape::Text, _) => {
                self.bytes.extend([FC_UP, SIMPLE_POINTER, FC_C_WSTRING, FC_PAD, FC_PAD]);
            }
            (_, Some(offset)) => {
                self.embedded(offset);
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

    /// Returns the largest wire alignment of these shapes.
    fn wire_align<'s>(&self, shapes: impl IntoIterator<Item = &'s Shape>) -> u8 {
        let handle = |shape: &Shape| {
            self.form == HandleForm::UserMarshal && matches!(shape, Shape::Handle(_))
        };
        let align = |shape: &Shape| if handle(shape) { 8 } else { shape.wire_align() };
        shapes.into_iter().map(align).max().unwrap_or(1) as u8
    }
}

fn has_pointer(field: &Field) -> bool {
    matches!(field.shape, Shape::Text | Shape::Optional(_)) || field.shape.counted().is_some()
}
