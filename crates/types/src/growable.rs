//! Types that can gain fields or variants.
//!
//! The header of a value lets a receiver with an older version of the type skip what it doesn't
//! know:
//!
//! ```text
//! size u32 ‖ number of handles u16 ‖ last required field u16 ‖ fields, or variant u32 and its fields
//! ```

use std::fmt;

/// Number of bytes before the fields of a growable value. The size in the header doesn't include
/// these bytes.
pub const GROWABLE_HEADER_BYTES: usize = 8;

/// A growable type in the receiver's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowableType {
    /// A struct.
    Struct {
        /// Name of the type.
        name: &'static str,
        /// Number of fields.
        fields: u16,
    },
    /// An enum.
    Enum {
        /// Name of the type.
        name: &'static str,
        /// Number of variants, without the one that stands for unknown variants.
        variants: u32,
    },
}

impl GrowableType {
    /// Returns the number of fields that may be required. Variants have no such fields.
    pub(crate) fn fields(self) -> u16 {
        match self {
            Self::Struct { fields, .. } => fields,
            Self::Enum { .. } => 0,
        }
    }

    /// Returns the term for what a later version of the type adds.
    pub(crate) fn part(self) -> &'static str {
        match self {
            Self::Struct { .. } => "field",
            Self::Enum { .. } => "variant",
        }
    }
}

impl fmt::Display for GrowableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, count) = match *self {
            Self::Struct { name, fields } => (name, fields.into()),
            Self::Enum { name, variants } => (name, variants),
        };
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "the receiver's version of `{name}` has {count} {}{plural}", self.part())
    }
}
