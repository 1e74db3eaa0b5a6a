//! Values of types that can gain fields or variants.
//!
//! ```text
//! size u32 ‖ number of handles u16 ‖ last required field u16 ‖ the fields, or variant u32 and its fields
//! ```

/// Number of bytes before the fields of a growable value. The size in the header doesn't include
/// these bytes.
pub const GROWABLE_HEADER_BYTES: usize = 8;
