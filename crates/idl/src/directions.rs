//! The directions in which values are sent.

use crate::front::ast::{AttributeName, Attributes};

/// The directions in which a value is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directions {
    /// From clients to servers.
    pub(crate) is_in: bool,
    /// From servers to clients.
    pub(crate) is_out: bool,
}

impl Directions {
    pub(crate) const IN: Self = Self { is_in: true, is_out: false };
    pub(crate) const OUT: Self = Self { is_in: false, is_out: true };

    /// Returns the directions of a parameter. A parameter without `in` or `out` is an input.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let is_out = attributes.has(AttributeName::Out) || attributes.has(AttributeName::Retval);
        Self { is_in: attributes.has(AttributeName::In) || !is_out, is_out }
    }

    /// Returns the directions in either set.
    pub(crate) fn union(self, other: Self) -> Self {
        Self { is_in: self.is_in || other.is_in, is_out: self.is_out || other.is_out }
    }

    /// Returns the directions in `self` that are not in `other`.
    pub(crate) fn difference(self, other: Self) -> Self {
        Self { is_in: self.is_in && !other.is_in, is_out: self.is_out && !other.is_out }
    }

    /// Describes the receiver of the values, for a message.
    pub(crate) fn receiver(self) -> &'static str {
        match (self.is_in, self.is_out) {
            (true, false) => "the server",
            (false, true) => "the client",
            _ => "either side",
        }
    }
}
