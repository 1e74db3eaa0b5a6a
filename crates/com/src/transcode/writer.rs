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
        member: &SlotValue,
        slots: &mut Vec<u64>,
    ) -> Result<(), TranscodeError> {
        self.parameter = member.parameter;
        self.parameter_slots(&member.shape, slots).map_err(|problem| self.error(problem))
    }

    fn parameter_slots(&mut self, shape: &Shape, slots: &mut Vec<u64>) -> Result<(), Problem> {
        if shape.is_scalar() {
            slots.push(self.scalar(shape)?);
        } else if let Some(item) = shape.counted() {
            let (count, address) = self.items(shape, item)?;
            slots.extend([count, address]);
        } else if matches!(shape, Shape::Text | Shape::Optional(_)) {
            slots.push(self.pointer(shape)?);
        } else {
            slots.push(self.pointee(shape)?);
        }
        Ok(())
    }

    /// Writes the cells of an \[out\] parameter.
    pub(super) fn result(
        &mut self,
        member: &SlotValue,
        slots: &[u64],
    ) -> Result<(), TranscodeError> {
        self.parameter = None;
        let cell = |at| slots.get(at).copied().filter(|cell| *cell != 0).ok_or(Problem::Null);
        let put = match member.shape.counted() {
            Some(item) => cell(member.slot).and_then(|count_cell| {
                let pointer_cell = cell(member.slot + 1)?;
                let (count, address) = self.items(&member.shape, item)?;
                self.memory.write(count_cell, &(count as u32).to_le_bytes())?;
                Ok(self.memory.write(pointer_cell, &address.to_le_bytes())?)
            }),
            None => cell(member.slot).and_then(|cell| self.put(&member.shape, cell)),
        };
        put.map_err(|problem| self.error(problem))
    }

    /// Checks that all bytes and handles have been consumed.
    pub(super) fn finish(&mut self) -> Result<(), TranscodeError> {
        self.parameter = None;
        match self.bytes.is_empty() && self.handles.len() == usize::from(self.next_slot) {
            true => Ok(()),
            false => Err(Problem::Encoded.into()),
        }
    }

    /// The addresses of all allocations.
    pub(super) fn into_allocated(self) -> Vec<u64> {
        self.allocated
    }

    fn error(&self, problem: Problem) -> TranscodeError {
        TranscodeError { parameter: self.parameter, problem }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(Problem::Encoded)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Problem::Encoded)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn take_len(&mut self) -> Result<usize, Problem> {
        let len = u32::from_le_bytes(self.take_array()?) as usize;
        // Every value takes at least one byte.
        if len > self.bytes.len() { Err(Problem::Encoded) } else { Ok(len) }
    }

    fn take_bool(&mut self) -> Result<bool, Problem> {
        match self.take_array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Problem::Encoded),
        }
    }

    /// Decodes a value that fits a slot.
    fn scalar(&mut self, shape: &Shape) -> Result<u64, Problem> {
        Ok(match shape {
            Shape::Number(number) => {
                let bytes = self.take(number.size() as usize)?;
                let is_negative =
                    number.is_signed() && bytes.last().is_some_and(|last| *last >= 0x80);
                let mut extended = if is_negative { [0xff; 8] } else { [0; 8] };
                extended[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(extended)
            }
            Shape::Bool => u64::from(self.take_bool()?),
            Shape::Enum(of) => {
                let place = u32::from_le_bytes(self.take_array()?);
                i64::from(of.value(place).ok_or(Problem::Encoded)?) as u64
            }
            Shape::OptionalObject(_) if !self.take_bool()? => 0,
            Shape::Handle(_) | Shape::Object(_) | Shape::OptionalObject(_) => {
                let slot = u16::from_le_bytes(self.take_array()?);
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
    fn put(&mut self, shape: &Shape, address: u64) -> Result<(), Problem> {
        match shape {
            Shape::Guid => {
                let guid = Guid::from_bytes(self.take_array()?);
                self.memory.write(address, &guid_in_memory(guid))?;
            }
            Shape::Struct(of) => {
                for Field { offset, shape } in &of.fields {
                    let place = address.wrapping_add(u64::from(*offset));
                    let Some(item) = shape.counted() else {
                        self.put(shape, place)?;
                        continue;
                    };
                    let (count, items) = self.items(shape, item)?;
                    self.memory.write(place, &(count as u32).to_le_bytes())?;
                    let pointer = address.wrapping_add(u64::from(Field::pointer_behind(*offset)));
                    self.memory.write(pointer, &items.to_le_bytes())?;
                }
            }
            Shape::Array(item, len) => self.put_all(item, u64::from(*len), address)?,
            Shape::Text | Shape::Optional(_) => {
                let pointer = self.pointer(shape)?;
                self.memory.write(address, &pointer.to_le_bytes())?;
            }
            scalar => {
                let value = self.scalar(scalar)?.to_le_bytes();
                self.memory.write(address, &value[..shape.size() as usize])?;
            }
        }
        Ok(())
    }

    /// Decodes values and writes them one after the other.
    fn put_all(&mut self, item: &Shape, count: u64, address: u64) -> Result<(), Problem> {
        let size = u64::from(item.size());
        if let Shape::Number(_) = item {
            // Numbers have the same layout in both forms and are copied together.
            let bytes = self.take((count * size) as usize)?;
            return Ok(self.memory.write(address, bytes)?);
        }
        (0..count).try_for_each(|place| self.put(item, address.wrapping_add(place * size)))
    }

    /// Decodes a list. Returns its count and the address of its items.
    fn items(&mut self, shape: &Shape, item: &Shape) -> Result<(u64, u64), Problem> {
        let count = match shape {
            Shape::OptionalHandle(_) => usize::from(self.take_bool()?),
            _ => self.take_len()?,
        };
        // Even an empty array has an address, because MIDL doesn't allow NULL.
        let address = self.allocate((count * item.size() as usize).max(1))?;
        self.put_all(item, count as u64, address)?;
        Ok((count as u64, address))
    }

    /// Decodes a value that is a pointer in COM.
    fn pointer(&mut self, shape: &Shape) -> Result<u64, Problem> {
        match shape {
            Shape::Text => self.text(),
            Shape::Optional(inner) if self.take_bool()? => match **inner {
                Shape::Text => self.text(),
                _ => self.pointee(inner),
            },
            _ => Ok(0),
        }
    }

    /// Decodes a value into newly allocated memory.
    fn pointee(&mut self, shape: &Shape) -> Result<u64, Problem> {
        let address = self.allocate(shape.size() as usize)?;
        self.put(shape, address)?;
        Ok(address)
    }

    fn text(&mut self) -> Result<u64, Problem> {
        let len = self.take_len()?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| Problem::Encoded)?;
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

/// Appends the slots of an \[out\] parameter: the addresses of new cells.
pub(super) fn cells(
    member: &SlotValue,
    memory: &mut dyn Memory,
    slots: &mut Vec<u64>,
) -> Result<(), Problem> {
    match member.shape.counted() {
        Some(_) => slots.extend([memory.allocate(4)?, memory.allocate(8)?]),
        None => slots.push(memory.allocate(member.shape.size() as usize)?),
    }
    Ok(())
}

/// Zeroes the cells of all \[out\] parameters, so that they contain no pointers or handles.
pub(super) fn clear(layout: &SlotLayout, slots: &[u64], memory: &mut dyn Memory) {
    let mut zero = |slot: usize, len: usize| {
        if let Some(cell) = slots.get(slot).filter(|cell| **cell != 0) {
            // A failure is ignored: an inaccessible cell doesn't need to be zeroed.
            let _ = memory.write(*cell, &vec![0; len]);
        }
    };
    for member in &layout.results {
        match member.shape.counted() {
            Some(_) => {
                zero(member.slot, 4);
                zero(member.slot + 1, 8);
            }
            None => zero(member.slot, member.shape.size() as usize),
        }
    }
}
