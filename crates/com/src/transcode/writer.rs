//! Conversion from this project's encoding to COM's memory layout.

use syshandle_types::Guid;

use super::message::{RawLentHandle, is_handle};
use super::problem::{Problem, TranscodeError};
use crate::memory::{Memory, guid_in_memory};
use crate::plan::{SlotLayout, SlotValue};
use crate::shape::{Field, Shape};

/// Decodes values and writes them in COM's layout.
pub(super) struct ComWriter<'a> {
    bytes: &'a [u8],
    handles: &'a [RawLentHandle],
    next_slot: u16,
    memory: &'a mut dyn Memory,
    allocated: Vec<u64>,
    parameter: Option<u16>,
}

impl<'a> ComWriter<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        handles: &'a [RawLentHandle],
        memory: &'a mut dyn Memory,
    ) -> Self {
        Self { bytes, handles, next_slot: 0, memory, allocated: Vec::new(), parameter: None }
    }

    /// Appends the slots of an \[in\] parameter.
    pub(super) fn parameter(
        &mut self,
        slot_value: &SlotValue,
        slots: &mut Vec<u64>,
    ) -> Result<(), TranscodeError> {
        self.parameter = slot_value.parameter;
        self.parameter_slots(&slot_value.shape, slots).map_err(|problem| self.error(problem))
    }

    fn parameter_slots(&mut self, shape: &Shape, slots: &mut Vec<u64>) -> Result<(), Problem> {
        if shape.is_scalar() {
            slots.push(self.next_scalar(shape)?);
        } else if let Some(item) = shape.counted() {
            let (count, address) = self.write_list(shape, item)?;
            slots.extend([count, address]);
        } else if matches!(shape, Shape::Text | Shape::Optional(_)) {
            slots.push(self.write_pointee(shape)?);
        } else {
            slots.push(self.write_new(shape)?);
        }
        Ok(())
    }

    /// Writes a value to the memory that an \[out\] parameter points to.
    pub(super) fn result(
        &mut self,
        slot_value: &SlotValue,
        slots: &[u64],
    ) -> Result<(), TranscodeError> {
        self.parameter = None;
        let cell = |at| slots.get(at).copied().filter(|cell| *cell != 0).ok_or(Problem::Null);
        let done = match slot_value.shape.counted() {
            Some(item) => cell(slot_value.slot).and_then(|count_cell| {
                let pointer_cell = cell(slot_value.slot + 1)?;
                let (count, address) = self.write_list(&slot_value.shape, item)?;
                self.memory.write(count_cell, &(count as u32).to_le_bytes())?;
                Ok(self.memory.write(pointer_cell, &address.to_le_bytes())?)
            }),
            None => {
                cell(slot_value.slot).and_then(|cell| self.write_value(&slot_value.shape, cell))
            }
        };
        done.map_err(|problem| self.error(problem))
    }

    /// Checks that no encoded bytes or handles remain.
    pub(super) fn finish(&mut self) -> Result<(), TranscodeError> {
        self.parameter = None;
        match self.bytes.is_empty() && self.handles.len() == usize::from(self.next_slot) {
            true => Ok(()),
            false => Err(Problem::Encoded.into()),
        }
    }

    /// Returns the addresses of all allocations.
    pub(super) fn into_allocated(self) -> Vec<u64> {
        self.allocated
    }

    fn error(&self, problem: Problem) -> TranscodeError {
        TranscodeError { parameter: self.parameter, problem }
    }

    fn next_bytes(&mut self, len: usize) -> Result<&'a [u8], Problem> {
        let (bytes, rest) = self.bytes.split_at_checked(len).ok_or(Problem::Encoded)?;
        self.bytes = rest;
        Ok(bytes)
    }

    fn next_array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (bytes, rest) = self.bytes.split_first_chunk().ok_or(Problem::Encoded)?;
        self.bytes = rest;
        Ok(*bytes)
    }

    fn next_len(&mut self) -> Result<usize, Problem> {
        let len = u32::from_le_bytes(self.next_array()?) as usize;
        // Each encoded value takes at least one byte.
        if len > self.bytes.len() { Err(Problem::Encoded) } else { Ok(len) }
    }

    fn next_bool(&mut self) -> Result<bool, Problem> {
        match self.next_array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Problem::Encoded),
        }
    }

    /// Decodes a value that fits into a slot.
    fn next_scalar(&mut self, shape: &Shape) -> Result<u64, Problem> {
        Ok(match shape {
            Shape::Number(number) => {
                let bytes = self.next_bytes(number.size() as usize)?;
                let is_negative =
                    number.is_signed() && bytes.last().is_some_and(|last| *last >= 0x80);
                let mut extended = if is_negative { [0xff; 8] } else { [0; 8] };
                extended[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(extended)
            }
            Shape::Bool => u64::from(self.next_bool()?),
            Shape::Enum(of) => {
                let index = u32::from_le_bytes(self.next_array()?);
                i64::from(of.value(index).ok_or(Problem::Encoded)?) as u64
            }
            Shape::OptionalObject(_) if !self.next_bool()? => 0,
            Shape::Handle(_) | Shape::Object(_) | Shape::OptionalObject(_) => {
                let slot = u16::from_le_bytes(self.next_array()?);
                let lent = self.handles.get(usize::from(slot)).filter(|_| slot == self.next_slot);
                let value = lent.ok_or(Problem::Encoded)?.value;
                self.next_slot += 1;
                if !is_handle(value) {
                    return Err(Problem::NoHandle);
                }
                value
            }
            _ => return Err(Problem::Encoded),
        })
    }

    /// Decodes a value and writes it to an address.
    fn write_value(&mut self, shape: &Shape, address: u64) -> Result<(), Problem> {
        match shape {
            Shape::Guid => {
                let guid = Guid::from_bytes(self.next_array()?);
                self.memory.write(address, &guid_in_memory(guid))?;
            }
            Shape::Struct(of) => {
                for Field { offset, shape } in &of.fields {
                    let field = address.wrapping_add(u64::from(*offset));
                    let Some(item) = shape.counted() else {
                        self.write_value(shape, field)?;
                        continue;
                    };
                    let (count, items) = self.write_list(shape, item)?;
                    self.memory.write(field, &(count as u32).to_le_bytes())?;
                    let pointer = address.wrapping_add(u64::from(Field::pointer_behind(*offset)));
                    self.memory.write(pointer, &items.to_le_bytes())?;
                }
            }
            Shape::Array(item, len) => self.write_values(item, u64::from(*len), address)?,
            Shape::Text | Shape::Optional(_) => {
                let pointer = self.write_pointee(shape)?;
                self.memory.write(address, &pointer.to_le_bytes())?;
            }
            scalar => {
                let value = self.next_scalar(scalar)?.to_le_bytes();
                self.memory.write(address, &value[..shape.size() as usize])?;
            }
        }
        Ok(())
    }

    /// Decodes values and writes them consecutively.
    fn write_values(&mut self, item: &Shape, count: u64, address: u64) -> Result<(), Problem> {
        let size = u64::from(item.size());
        if let Shape::Number(_) = item {
            // Numbers have the same layout in both forms. They are copied in one operation.
            let bytes = self.next_bytes((count * size) as usize)?;
            return Ok(self.memory.write(address, bytes)?);
        }
        (0..count).try_for_each(|index| self.write_value(item, address.wrapping_add(index * size)))
    }

    /// Decodes a list. Returns its item count and the address of its items.
    fn write_list(&mut self, shape: &Shape, item: &Shape) -> Result<(u64, u64), Problem> {
        let count = match shape {
            Shape::OptionalHandle(_) => usize::from(self.next_bool()?),
            _ => self.next_len()?,
        };
        // An empty array also has an address, because MIDL doesn't allow NULL.
        let address = self.allocate((count * item.size() as usize).max(1))?;
        self.write_values(item, count as u64, address)?;
        Ok((count as u64, address))
    }

    /// Decodes a value that COM represents as a pointer. Returns the pointer.
    fn write_pointee(&mut self, shape: &Shape) -> Result<u64, Problem> {
        match shape {
            Shape::Text => self.write_text(),
            Shape::Optional(inner) if self.next_bool()? => match **inner {
                Shape::Text => self.write_text(),
                _ => self.write_new(inner),
            },
            _ => Ok(0),
        }
    }

    /// Decodes a value into newly allocated memory. Returns its address.
    fn write_new(&mut self, shape: &Shape) -> Result<u64, Problem> {
        let address = self.allocate(shape.size() as usize)?;
        self.write_value(shape, address)?;
        Ok(address)
    }

    fn write_text(&mut self) -> Result<u64, Problem> {
        let len = self.next_len()?;
        let text = std::str::from_utf8(self.next_bytes(len)?).map_err(|_| Problem::Encoded)?;
        if text.contains('\0') {
            return Err(Problem::ZeroInText);
        }
        let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let address = self.allocate(units.len())?;
        self.memory.write(address, &units)?;
        Ok(address)
    }

    fn allocate(&mut self, len: usize) -> Result<u64, Problem> {
        let address = self.memory.allocate(len)?;
        self.allocated.push(address);
        Ok(address)
    }
}

/// Allocates the memory of an \[out\] parameter, and appends its address to the slots.
pub(super) fn allocate_cells(
    slot_value: &SlotValue,
    memory: &mut dyn Memory,
    slots: &mut Vec<u64>,
) -> Result<(), Problem> {
    match slot_value.shape.counted() {
        Some(_) => slots.extend([memory.allocate(4)?, memory.allocate(8)?]),
        None => slots.push(memory.allocate(slot_value.shape.size() as usize)?),
    }
    Ok(())
}

/// Zeroes the memory of all \[out\] parameters, so that it contains no pointers or handles.
pub(super) fn clear_cells(layout: &SlotLayout, slots: &[u64], memory: &mut dyn Memory) {
    let mut zero = |slot: usize, len: usize| {
        if let Some(cell) = slots.get(slot).filter(|cell| **cell != 0) {
            // A failure is ignored, because inaccessible memory doesn't need to be zeroed.
            let _ = memory.write(*cell, &vec![0; len]);
        }
    };
    for slot_value in &layout.results {
        match slot_value.shape.counted() {
            Some(_) => {
                zero(slot_value.slot, 4);
                zero(slot_value.slot + 1, 8);
            }
            None => zero(slot_value.slot, slot_value.shape.size() as usize),
        }
    }
}
