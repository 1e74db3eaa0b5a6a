//! Builds the procedure format string.

use super::buffers;
use super::types::{CountLocation, TypeFormatString, is_on_stack};
use crate::format_characters::{FC_AUTO_HANDLE, FC_ENUM16, FC_LONG};
use crate::plan::{Float, MethodPlan, SlotValue};
use crate::shape::Shape;

/// Appends the descriptor of a method. Returns `None` if one of the method's types doesn't fit into
/// the type string.
pub(super) fn write(
    out: &mut Vec<u8>,
    plan: &MethodPlan,
    number: u16,
    types: &mut TypeFormatString,
) -> Option<()> {
    let mut descriptors = ParameterDescriptors::default();
    if let Some(layout) = plan.slots() {
        for value in &layout.parameters {
            descriptors.add_parameter(value, types);
        }
        for value in &layout.results {
            descriptors.add_result(value, types);
        }
    }
    let slots = plan.slot_count() as u16;
    header(out, plan, number, &descriptors);
    out.extend(descriptors.bytes);
    put_words(out, [IS_OUT | IS_RETURN | IS_BASETYPE, stack(usize::from(slots))]);
    out.extend([FC_LONG, 0]);
    types.fits().then_some(())
}

fn header(out: &mut Vec<u8>, plan: &MethodPlan, number: u16, descriptors: &ParameterDescriptors) {
    let slots = plan.slot_count();
    out.extend([FC_AUTO_HANDLE, OBJECT_METHOD]);
    // RPC flags: none.
    out.extend([0; 4]);
    // The stack contains `this`, the slots and the HRESULT, in this order.
    put_words(
        out,
        [
            number,
            stack(slots + 1),
            descriptors.client_bytes,
            descriptors.server_bytes + buffers::HRESULT,
        ],
    );
    let must_size =
        u8::from(descriptors.server_must_size) | u8::from(descriptors.client_must_size) << 1;
    out.extend([HAS_RETURN_AND_EXTENSIONS | must_size, slots as u8 + 1]);
    let mut extensions = NEW_CORRELATIONS;
    if descriptors.client_counts {
        extensions |= CLIENT_CORRELATIONS;
    }
    if descriptors.server_counts {
        extensions |= SERVER_CORRELATIONS;
    }
    out.extend([EXTENSION_BYTES, extensions]);
    let hints = [descriptors.client_counts, descriptors.server_counts].map(u16::from);
    let no_notify = 0;
    put_words(out, [hints[0], hints[1], no_notify, floats(plan)]);
}

/// The descriptors of a method's parameters, and the summary of them that the method's header
/// contains.
#[derive(Default)]
struct ParameterDescriptors {
    bytes: Vec<u8>,
    client_bytes: u16,
    server_bytes: u16,
    client_must_size: bool,
    server_must_size: bool,
    /// Whether the client receives item counts, which it must check.
    client_counts: bool,
    /// Whether the server receives item counts, which it must check.
    server_counts: bool,
}

impl ParameterDescriptors {
    fn add_parameter(&mut self, value: &SlotValue, types: &mut TypeFormatString) {
        let SlotValue { shape, slot, .. } = value;
        let mut slot = *slot;
        if shape.counted().is_some() {
            self.server_counts = true;
            self.client_bytes += COUNT_BYTES;
            self.add_base_type(IS_IN, slot, FC_LONG);
            slot += 1;
        }
        let bytes = buffers::parameter(shape);
        self.client_bytes += bytes.unwrap_or(0);
        self.client_must_size |= bytes.is_none();
        let must_size = if bytes.is_none() { MUST_SIZE } else { 0 };
        if let Some(character) = TypeFormatString::character(shape) {
            return self.add_base_type(IS_IN, slot, character);
        }
        let attributes = match shape {
            Shape::Handle(_) => IS_BY_VALUE,
            Shape::Object(_) | Shape::OptionalObject(_) | Shape::Optional(_) => 0,
            _ => IS_SIMPLE_REF,
        };
        let offset = types.parameter(shape, CountLocation::Parameter(stack(slot).wrapping_sub(8)));
        self.add_descriptor(IS_IN | MUST_FREE | must_size | attributes, slot, offset);
    }

    fn add_result(&mut self, value: &SlotValue, types: &mut TypeFormatString) {
        let SlotValue { shape, slot, .. } = value;
        let mut slot = *slot;
        if shape.counted().is_some() {
            self.client_counts = true;
            self.server_bytes += COUNT_BYTES + 20;
            types.result(&Shape::Bool, CountLocation::Parameter(0));
            self.add_base_type(IS_OUT | IS_SIMPLE_REF | on_stack(8), slot, FC_LONG);
            slot += 1;
        }
        let bytes = buffers::result(shape);
        self.server_bytes += bytes.unwrap_or(0);
        self.server_must_size |= bytes.is_none();
        let must_size = if bytes.is_none() { MUST_SIZE } else { 0 };
        let offset = types.result(shape, CountLocation::Pointee(stack(slot).wrapping_sub(8)));
        match TypeFormatString::character(shape) {
            Some(FC_ENUM16) => return self.add_descriptor(IS_OUT | on_stack(8), slot, offset),
            Some(character) => {
                return self.add_base_type(IS_OUT | IS_SIMPLE_REF | on_stack(8), slot, character);
            }
            None => {}
        }
        let attributes = match shape {
            Shape::Object(_) | Shape::OptionalObject(_) => 0,
            Shape::Handle(_) => IS_SIMPLE_REF | on_stack(8),
            Shape::Guid | Shape::Struct(_) if is_on_stack(shape) => {
                IS_SIMPLE_REF | on_stack(shape.size())
            }
            Shape::Guid | Shape::Struct(_) => IS_SIMPLE_REF,
            _ => on_stack(8),
        };
        self.add_descriptor(IS_OUT | MUST_FREE | must_size | attributes, slot, offset);
    }

    /// Adds a parameter that is a number. Its type has no entry in the type string.
    fn add_base_type(&mut self, attributes: u16, slot: usize, character: u8) {
        put_words(&mut self.bytes, [attributes | IS_BASETYPE, stack(slot)]);
        self.bytes.extend([character, 0]);
    }

    fn add_descriptor(&mut self, attributes: u16, slot: usize, offset: usize) {
        put_words(&mut self.bytes, [attributes, stack(slot), offset as u16]);
    }
}

/// Returns the stack offset of a slot. `this` precedes the slots.
fn stack(slot: usize) -> u16 {
    8 * (slot as u16 + 1)
}

/// Returns the attribute that makes the stub keep a parameter of `bytes` bytes on its stack.
fn on_stack(bytes: u32) -> u16 {
    (bytes.div_ceil(8) as u16) << 13
}

/// Returns the bit mask of the floating-point numbers among the first four arguments, which include
/// `this`. Each argument takes two bits.
fn floats(plan: &MethodPlan) -> u16 {
    let bits = (0..3).map(|slot| match plan.float(slot) {
        None => 0,
        Some(Float::Single) => 1 << (2 * (slot + 1)),
        Some(Float::Double) => 2 << (2 * (slot + 1)),
    });
    bits.sum()
}

fn put_words<const N: usize>(out: &mut Vec<u8>, words: [u16; N]) {
    words.iter().for_each(|word| out.extend(word.to_le_bytes()));
}

const MUST_SIZE: u16 = 0x1;
const MUST_FREE: u16 = 0x2;
const IS_IN: u16 = 0x8;
const IS_OUT: u16 = 0x10;
const IS_RETURN: u16 = 0x20;
const IS_BASETYPE: u16 = 0x40;
const IS_BY_VALUE: u16 = 0x80;
const IS_SIMPLE_REF: u16 = 0x100;

/// Handle type and flags of an interface method that the interpreter (since NT 4) executes. The RPC
/// flags follow.
const OBJECT_METHOD: u8 = 0x6c;
/// Flags: the method returns a value, and header extensions follow.
const HAS_RETURN_AND_EXTENSIONS: u8 = 0x44;
const EXTENSION_BYTES: u8 = 10;
/// Extension flag: flags follow the description of each count.
const NEW_CORRELATIONS: u8 = 1;
const CLIENT_CORRELATIONS: u8 = 2;
const SERVER_CORRELATIONS: u8 = 4;

/// Size that is reserved for an item count on the wire.
const COUNT_BYTES: u16 = 8;
