//! Maximum sizes of parameters on the wire, if they are known in advance.
//!
//! The stub allocates its buffer from these sizes, so they must be large enough. The surplus is the
//! same as in MIDL's tables, where these are published.

use crate::shape::Shape;

/// Returns the size of an \[in\] parameter with its alignment. Returns `None` if it depends on the
/// value.
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

/// Returns the size of an \[out\] parameter with its alignment. Returns `None` if it depends on the
/// value.
pub(super) fn result(shape: &Shape) -> Option<u16> {
    match shape.is_scalar() {
        true => Some(parameter(shape)? + BEFORE_POINTEE as u16),
        false => parameter(shape),
    }
}

/// The size of the HRESULT that every method returns.
pub(super) const HRESULT: u16 = 8;

/// Additional bytes for a pointer to a value.
const BEFORE_POINTEE: u32 = 20;

/// Most additional bytes for the alignment of a struct.
const PADDING_MAX: u32 = 32;

/// The largest struct whose size is reserved in advance. The sum over 64 parameters must fit 16
/// bits.
const STRUCT_BYTES_MAX: u32 = 960;
