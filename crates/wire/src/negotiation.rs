//! What both sides of a connection agree on: the version of the protocol, and its features.

use std::fmt;

/// The versions of the protocol that one side supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The highest version.
    pub highest: u16,
    /// The lowest version.
    pub lowest: u16,
}

impl Versions {
    /// The versions that this crate supports.
    pub const OWN: Self = Self { highest: 2, lowest: 2 };

    /// Returns the highest version that both sides support, if there is one.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let highest = self.highest.min(other.highest);
        (highest >= self.lowest.max(other.lowest)).then_some(highest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lowest == self.highest {
            true => write!(f, "version {}", self.highest),
            false => write!(f, "versions {} to {}", self.lowest, self.highest),
        }
    }
}

/// A set of features of the protocol. Each side announces the features that it implements, and
/// ignores the bits that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);

    /// References to objects of the server are numbers on the connection.
    pub const OBJECTS: Self = Self(1);

    /// The server describes the interface of each object on request.
    pub const DESCRIPTION: Self = Self(1 << 1);

    /// A call without a reply is acknowledged together with others.
    pub const ONE_WAY: Self = Self(1 << 3);

    /// Frames through shared memory. A side announces it only if it is turned on.
    pub const RINGS: Self = Self(1 << 5);

    /// Messages may open streams of values.
    pub const STREAMS: Self = Self(1 << 2);

    /// A receiver keeps handles, and later messages name them by slots.
    pub const REGISTERED_HANDLES: Self = Self(1 << 4);

    /// The features that a side always announces.
    pub const OWN: Self = Self(
        Self::OBJECTS.0
            | Self::DESCRIPTION.0
            | Self::STREAMS.0
            | Self::ONE_WAY.0
            | Self::REGISTERED_HANDLES.0,
    );

    /// Returns the set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the set with the features of `other` too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the features that both sets have. These are in effect on a connection.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the features that one of both sets has.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the features that `other` doesn't have.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether the set has all features of `other`.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OBJECTS => f.write_str("objects"),
            Self::DESCRIPTION => f.write_str("description"),
            Self::ONE_WAY => f.write_str("one-way calls"),
            Self::RINGS => f.write_str("rings"),
            Self::STREAMS => f.write_str("streams"),
            Self::REGISTERED_HANDLES => f.write_str("registered handles"),
            Self(bits) => write!(f, "{bits:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_of_both_ranges_is_used() {
        let versions = |lowest, highest| Versions { highest, lowest };
        for (one, other, common) in [
            (versions(2, 2), versions(2, 2), Some(2)),
            (versions(2, 2), versions(1, 9), Some(2)),
            (versions(2, 5), versions(3, 4), Some(4)),
            (versions(2, 5), versions(5, 7), Some(5)),
            (versions(2, 2), versions(1, 1), None),
            (versions(2, 2), versions(3, 9), None),
            (versions(2, 2), versions(2, 0), None),
            (versions(2, 2), versions(9, 1), None),
        ] {
            assert_eq!(one.common(other), common, "{one} and {other}");
            assert_eq!(other.common(one), common, "{other} and {one}");
        }
    }

    #[test]
    fn features_of_one_side_only_are_not_in_effect() {
        for (one, other) in (0..16).flat_map(|one| (0..16).map(move |other| (one, other))) {
            let common = Features::from_bits(one).common(Features::from_bits(other));
            assert_eq!(common.bits(), one & other);
            assert_eq!(common.contains(Features::OBJECTS), one & other & 1 == 1);
        }
    }
}
