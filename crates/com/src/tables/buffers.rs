//! Maximum sizes of parameters on the wire, for types whose size doesn't depend on the value.
//!
//! The stub allocates its buffer with these sizes, so they must be large enough. Sizes that
//! Microsoft has published are the same as in MIDL's tables.

use crate::shape::Shape;

/// Returns the maximum size of an \[in\] parameter, including alignment. Returns `None` if the size
/// depends on the value.
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

/// Returns the maximum size of an \[out\] parameter, including alignment. Returns `None` if the
/// size depends on the value.
pub(super) fn result(shape: &Shape) -> Option<u16> {
    match shape.is_scalar() {
        true => Some(parameter(shape)? + BEFORE_POINTEE as u16),
        false => parameter(shape),
    }
}

/// The size that is reserved for the HRESULT of every method.
pub(super) const HRESULT: u16 = 8;

/// The size that is reserved in addition to a pointee for its pointer.
const BEFORE_POINTEE: u32 = 20;

/// The maximum size that is reserved for the alignment of a struct.
const PADDING_MAX: u32 = 32;

/// The largest struct for which space is reserved in advance. With this limit, the sum over 64
/// parameters fits into 16 bits.
const STRUCT_BYTES_MAX: u32 = 960;
