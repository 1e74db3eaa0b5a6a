//! The values of the constants of an enum.

use crate::front::ast::{AttributeName, Attributes, EnumType};
use syshandle_model::Range;

/// The values of an enum's constants, in declaration order.
pub(super) struct EnumValues {
    pub(super) list: Vec<i64>,
    least: Option<i64>,
    most: Option<i64>,
    has_duplicates: bool,
}

impl EnumValues {
    pub(super) fn of(list: Vec<i64>) -> Self {
        // A C enum has 32 bits, so -1 and 0xFFFFFFFF are the same value.
        let mut unique_names: Vec<i32> = list.iter().map(|value| *value as i32).collect();
        unique_names.sort_unstable();
        unique_names.dedup();
        Self {
            least: list.iter().min().copied(),
            most: list.iter().max().copied(),
            has_duplicates: unique_names.len() != list.len(),
            list,
        }
    }

    /// Returns whether the enum is converted to an integer type with constants. Constants that can
    /// be combined with `|`, or that have equal values, can't be variants of a Rust enum.
    pub(super) fn is_number(&self, of: &EnumType, attributes: Option<&Attributes>) -> bool {
        let is_flags = [attributes, Some(&of.attributes)].into_iter().flatten().any(|attributes| {
            attributes.has(AttributeName::FlagEnum) || attributes.has(AttributeName::Flags)
        });
        is_flags || self.has_duplicates
    }

    /// Returns whether the values seem to be flags (single bits and combinations of them) rather
    /// than consecutive numbers.
    pub(super) fn look_like_flags(&self) -> bool {
        let bits = self.list.iter().filter(|value| value.count_ones() == 1);
        let all = bits.clone().fold(0, |all, bit| all | bit);
        let span = self.most.unwrap_or(0).wrapping_sub(self.least.unwrap_or(0));
        let is_counted = usize::try_from(span).is_ok_and(|span| span < self.list.len());
        bits.count() >= FLAGS_MIN
            && !is_counted
            && self.list.iter().all(|value| *value >= 0 && value & !all == 0)
    }

    /// Returns whether all values are within bounds.
    pub(super) fn are_within(&self, bounds: Range) -> bool {
        let within = |value: i64| (bounds.from..=bounds.to).contains(&i128::from(value));
        self.least.is_none_or(within) && self.most.is_none_or(within)
    }
}

/// The number of single-bit values from which on an enum may be considered to be flags.
const FLAGS_MIN: usize = 3;
