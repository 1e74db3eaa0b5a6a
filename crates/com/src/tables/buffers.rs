//! How many bytes a parameter takes on the wire at most, where that is known beforehand.
//!
//! The stub allocates its buffer by these, so they have to be enough; how much more they are is
//! MIDL's habit, and followed where it is published.

use crate::shape::Shape;

/// The bytes of an \[in\] parameter, with those that align it: `None` if they depend on its value.
pub(super) fn parameter(shape: &Shape) -> Option<u16> {
    Some(match shape {
        Shape::Number(number) => number.size().max(4) + number.size(),
        Shape::Bool => 8,
        Shape::Enum(of) if of.is_short() => 6,
        Shape::Enum(_) => 8,
        Shape::Guid | Shape::Struct(_) if shape.is_simple() && shape.size() <= STRUCT_BYTES_MAX => {
            BEFORE_POINTEE + shape.size() + PADDING_MAX.min(2 * shape.size())
        }
        Shape::Optional(inner) if !inner.is_scalar() => return parameter(inner),
        Shape::Optional(inner) => u32::from(parameter(inner)?) + BEFORE_POINTEE,
        _ => return None,
    } as u16)
}

/// The bytes of an \[out\] parameter, with those that align it: `None` if they depend on its value.
pub(super) fn result(shape: &Shape) -> Option<u16> {
    match shape.is_scalar() {
        true => Some(parameter(shape)? + BEFORE_POINTEE as u16),
        false => parameter(shape),
    }
}

/// The bytes of the HRESULT that every method returns.
pub(super) const HRESULT: u16 = 8;

/// What a pointer to a value adds.
const BEFORE_POINTEE: u32 = 20;

/// What a struct may need besides.
const PADDING_MAX: u32 = 32;

/// The largest struct whose size is counted on beforehand: 64 of them must not pass 16 bits.
const STRUCT_BYTES_MAX: u32 = 960;
