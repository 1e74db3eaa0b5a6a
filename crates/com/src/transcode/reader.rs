//! Conversion from COM's memory layout to this project's encoding.

use syshandle_types::Limits;

use super::message::{HandleType, RawReceivedHandle, is_handle};
use super::problem::{Problem, TranscodeError};
use crate::kinds;
use crate::memory::Memory;
use crate::plan::SlotValue;
use crate::shape::{Field, Shape};

/// Reads values in COM's memory layout and appends them in this project's encoding.
pub(super) struct ComReader<'m> {
    memory: &'m dyn Memory,
    bytes: Vec<u8>,
    handles: Vec<RawReceivedHandle>,
    limits: Limits,
}

impl<'m> ComReader<'m> {
    pub(super) fn new(memory: &'m dyn Memory) -> Self {
        Self { memory, bytes: Vec::new(), handles: Vec::new(), limits: Limits::default() }
    }

    /// Reads and encodes an \[in\] parameter.
    pub(super) fn parameter(
        &mut self,
        slot_value: &SlotValue,
        slots: &[u64],
    ) -> Result<(), TranscodeError> {
        let slot = |at| slots.get(at).copied().ok_or(Problem::Encoded);
        let shape = &slot_value.shape;
        let done = slot(slot_value.slot).and_then(|first| {
            if shape.is_scalar() {
                self.push_scalar(shape, first)
            } else if let Some(item) = shape.counted() {
                self.read_list(shape, item, first, slot(slot_value.slot + 1)?)
            } else if matches!(shape, Shape::Text | Shape::Optional(_)) {
                self.read_pointee(shape, first)
            } else {
                self.read_value(shape, not_null(first)?)
            }
        });
        done.map_err(|problem| TranscodeError { parameter: slot_value.parameter, problem })
    }

    /// Reads and encodes the value that an \[out\] parameter points to.
    pub(super) fn result(&mut self, slot_value: &SlotValue, slots: &[u64]) -> Result<(), Problem> {
        let cell = |at| slots.get(at).copied().ok_or(Problem::Encoded).and_then(not_null);
        match slot_value.shape.counted() {
            Some(item) => {
                let count = self.read_number(cell(slot_value.slot)?, 4)?;
                let address = self.read_number(cell(slot_value.slot + 1)?, 8)?;
                self.read_list(&slot_value.shape, item, count, address)
            }
            None => self.read_value(&slot_value.shape, cell(slot_value.slot)?),
        }
    }

    /// Returns the encoded bytes, and the handles in order.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<RawReceivedHandle>) {
        (self.bytes, self.handles)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.bytes.len() + bytes.len() > self.limits.message_bytes_max as usize {
            return Err(Problem::TooManyBytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads a number of up to 8 bytes.
    fn read_number(&self, address: u64, len: usize) -> Result<u64, Problem> {
        let mut bytes = [0; 8];
        self.memory.read(address, &mut bytes[..len])?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Encodes a scalar. `value` is the 8-byte slot or field that contains it. Bits above the width
    /// of the scalar's type are ignored.
    fn push_scalar(&mut self, shape: &Shape, value: u64) -> Result<(), Problem> {
        match shape {
            Shape::Number(number) => self.push(&value.to_le_bytes()[..number.size() as usize]),
            Shape::Bool => self.push(&[u8::from(value as u32 != 0)]),
            Shape::Enum(of) => {
                let index = of.index_of(value as u32 as i32).ok_or(Problem::Value(of.name))?;
                self.push(&index.to_le_bytes())
            }
            Shape::Handle(number) => {
                let kind = kinds::of_number(*number).ok_or(Problem::UndeclaredHandle)?;
                self.push_handle(value, HandleType::Handle(kind))
            }
            Shape::Object(iid) => self.push_handle(value, HandleType::Object(*iid)),
            Shape::OptionalObject(_) if value == 0 => self.push(&[0]),
            Shape::OptionalObject(iid) => {
                self.push(&[1])?;
                self.push_handle(value, HandleType::Object(*iid))
            }
            _ => Err(Problem::Encoded),
        }
    }

    fn push_handle(&mut self, value: u64, handle_type: HandleType) -> Result<(), Problem> {
        if !is_handle(value) {
            return Err(Problem::NoHandle);
        }
        let slot = self.handles.len() as u16;
        if slot >= self.limits.handles_max {
            return Err(Problem::TooManyHandles);
        }
        self.handles.push(RawReceivedHandle { value, handle_type });
        self.push(&slot.to_le_bytes())
    }

    /// Reads and encodes the value at an address.
    fn read_value(&mut self, shape: &Shape, address: u64) -> Result<(), Problem> {
        match shape {
            Shape::Guid => {
                let mut bytes = [0; 16];
                self.memory.read(address, &mut bytes)?;
                let [d, c, b, a, f, e, h, g, ..] = bytes;
                bytes[..8].copy_from_slice(&[a, b, c, d, e, f, g, h]);
                self.push(&bytes)
            }
            Shape::Struct(of) => of.fields.iter().try_for_each(|Field { offset, shape }| {
                let field = address.wrapping_add(u64::from(*offset));
                let Some(item) = shape.counted() else { return self.read_value(shape, field) };
                let count = self.read_number(field, 4)?;
                let pointer = address.wrapping_add(u64::from(Field::pointer_behind(*offset)));
                let items = self.read_number(pointer, 8)?;
                self.read_list(shape, item, count, items)
            }),
            Shape::Array(item, len) => self.read_values(item, u64::from(*len), address),
            Shape::Text | Shape::Optional(_) => {
                let pointer = self.read_number(address, 8)?;
                self.read_pointee(shape, pointer)
            }
            scalar => {
                let value = self.read_number(address, scalar.size() as usize)?;
                self.push_scalar(scalar, value)
            }
        }
    }

    /// Reads and encodes consecutive values.
    fn read_values(&mut self, item: &Shape, count: u64, address: u64) -> Result<(), Problem> {
        let size = u64::from(item.size());
        if let Shape::Number(_) = item {
            // Numbers have the same layout in both forms. They are copied in one operation.
            let start = self.bytes.len();
            let end = start + (count * size) as usize;
            if end > self.limits.message_bytes_max as usize {
                return Err(Problem::TooManyBytes);
            }
            self.bytes.resize(end, 0);
            return Ok(self.memory.read(address, &mut self.bytes[start..])?);
        }
        (0..count).try_for_each(|index| self.read_value(item, address.wrapping_add(index * size)))
    }

    /// Reads and encodes a list. Only the lower 32 bits of `count` are used.
    fn read_list(
        &mut self,
        shape: &Shape,
        item: &Shape,
        count: u64,
        address: u64,
    ) -> Result<(), Problem> {
        let count = count as u32;
        match (shape, count) {
            (Shape::OptionalHandle(_), 0 | 1) => self.push(&[count as u8])?,
            (Shape::OptionalHandle(_), _) => return Err(Problem::Value("optional handle")),
            // Each encoded value takes at least one byte.
            _ if count > self.limits.message_bytes_max => return Err(Problem::TooManyBytes),
            _ => self.push(&count.to_le_bytes())?,
        }
        match count {
            0 => Ok(()),
            _ => self.read_values(item, count.into(), not_null(address)?),
        }
    }

    /// Reads and encodes a value that COM represents as a pointer.
    fn read_pointee(&mut self, shape: &Shape, pointer: u64) -> Result<(), Problem> {
        match shape {
            Shape::Optional(_) if pointer == 0 => self.push(&[0]),
            Shape::Optional(inner) => {
                self.push(&[1])?;
                match **inner {
                    Shape::Text => self.read_text(pointer),
                    _ => self.read_value(inner, pointer),
                }
            }
            _ => self.read_text(pointer),
        }
    }

    fn read_text(&mut self, pointer: u64) -> Result<(), Problem> {
        let units_max = self.limits.message_bytes_max as usize;
        let units = self.memory.read_text(not_null(pointer)?, units_max)?;
        if units.len() > units_max {
            return Err(Problem::TooManyBytes);
        }
        let text = String::from_utf16(&units).map_err(|_| Problem::NotUtf16)?;
        let len = u32::try_from(text.len()).map_err(|_| Problem::TooManyBytes)?;
        self.push(&len.to_le_bytes())?;
        self.push(text.as_bytes())
    }
}

fn not_null(address: u64) -> Result<u64, Problem> {
    if address == 0 { Err(Problem::Null) } else { Ok(address) }
}
