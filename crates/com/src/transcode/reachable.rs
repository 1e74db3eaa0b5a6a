//! Finds the memory and handles that belong to a result, so that they can be freed even if the
//! result is malformed.

use syshandle_types::Limits;

use super::message::{HandleType, RawReceivedHandle, is_handle};
use crate::kinds;
use crate::memory::Memory;
use crate::plan::SlotLayout;
use crate::shape::{Field, Shape};

/// The memory and handles that are reachable from the \[out\] slots of a call.
#[derive(Default)]
pub(super) struct ReachableMemory {
    pub(super) addresses: Vec<u64>,
    pub(super) handles: Vec<RawReceivedHandle>,
}

impl ReachableMemory {
    /// Searches the memory that the \[out\] slots of a call point to.
    pub(super) fn of(layout: &SlotLayout, slots: &[u64], memory: &dyn Memory) -> Self {
        let mut reachable = Self::default();
        for value in &layout.results {
            let slot = |at: usize| slots.get(at).copied().unwrap_or(0);
            let (cell, next) = (slot(value.slot), slot(value.slot + 1));
            match value.shape.counted() {
                Some(item) => reachable.add_list(item, cell, next, memory),
                None => reachable.add_value(&value.shape, cell, memory),
            }
        }
        reachable
    }

    fn add_value(&mut self, shape: &Shape, address: u64, memory: &dyn Memory) {
        match shape {
            Shape::Number(_) | Shape::Bool | Shape::Enum(_) | Shape::Guid => {}
            Shape::Handle(_) | Shape::Object(_) | Shape::OptionalObject(_) => {
                let handle_type = match shape {
                    Shape::Object(iid) | Shape::OptionalObject(iid) => {
                        Some(HandleType::Object(*iid))
                    }
                    Shape::Handle(number) => kinds::of_number(*number).map(HandleType::Handle),
                    _ => None,
                };
                let value = read(memory, address, 8).filter(|value| is_handle(*value));
                let raw = value
                    .zip(handle_type)
                    .map(|(value, handle_type)| RawReceivedHandle { value, handle_type });
                self.handles.extend(raw);
            }
            Shape::Struct(of) => {
                for Field { offset, shape } in &of.fields {
                    let field = address.wrapping_add(u64::from(*offset));
                    let pointer = address.wrapping_add(u64::from(Field::pointer_behind(*offset)));
                    match shape.counted() {
                        Some(item) => self.add_list(item, field, pointer, memory),
                        None => self.add_value(shape, field, memory),
                    }
                }
            }
            Shape::Array(item, len) => self.add_items(item, u64::from(*len), address, memory),
            Shape::Text => self.addresses.extend(pointer(memory, address)),
            Shape::Optional(inner) => {
                let Some(pointer) = pointer(memory, address) else { return };
                self.addresses.push(pointer);
                // The pointer of a string points directly to its characters, which contain no
                // further pointers.
                if **inner != Shape::Text {
                    self.add_value(inner, pointer, memory);
                }
            }
            Shape::List(_) | Shape::OptionalHandle(_) => {}
        }
    }

    fn add_list(&mut self, item: &Shape, count: u64, cell: u64, memory: &dyn Memory) {
        let Some(address) = pointer(memory, cell) else { return };
        self.addresses.push(address);
        let count = read(memory, count, 4).unwrap_or(0);
        if count <= u64::from(Limits::default().message_bytes_max) {
            self.add_items(item, count, address, memory);
        }
    }

    fn add_items(&mut self, item: &Shape, count: u64, address: u64, memory: &dyn Memory) {
        if matches!(item, Shape::Number(_) | Shape::Bool | Shape::Enum(_) | Shape::Guid) {
            return;
        }
        let size = u64::from(item.size());
        let at = |index: u64| address.wrapping_add(index * size);
        // If the last byte of the array isn't readable, the count is wrong and no item can be
        // trusted.
        if count == 0 || memory.read(at(count).wrapping_sub(1), &mut [0]).is_err() {
            return;
        }
        (0..count).for_each(|index| self.add_value(item, at(index), memory));
    }
}

fn pointer(memory: &dyn Memory, address: u64) -> Option<u64> {
    read(memory, address, 8).filter(|pointer| *pointer != 0)
}

fn read(memory: &dyn Memory, address: u64, len: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    memory.read(address, &mut bytes[..len]).ok()?;
    Some(u64::from_le_bytes(bytes))
}
