//! Finds *companions*: parameters and fields that contain only the length or discriminant of
//! another one. Because the other one's Rust type includes its length or discriminant, companions
//! are removed. A companion's bounds are applied to the other parameter or field.

use std::collections::HashMap;

use super::types::SIZES;
use crate::directions::Directions;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, Declarator, Expression, ExpressionKind, UnaryOperator,
};
use syshandle_model::Range;

/// The companions in a list of parameters or fields. A companion is removed in those directions
/// (in, out) in which the other parameter or field is passed.
#[derive(Default)]
pub(super) struct Companions<'a> {
    directions: HashMap<&'a str, Directions>,
    /// The bounds of integers that have the attribute `range`, by name.
    ranges: HashMap<&'a str, Range>,
}

impl<'a> Companions<'a> {
    /// Records the parameters that the attributes of another parameter name as its length or
    /// discriminant.
    pub(super) fn add(&mut self, attributes: &'a Attributes, directions: Directions) {
        for name in SIZES.into_iter().chain([AttributeName::SwitchIs]) {
            for value in attributes.find(name).into_iter().flat_map(Attribute::values) {
                let Some(name) = simple_name(value) else { continue };
                let known = self.directions.entry(name).or_default();
                *known = known.union(directions);
            }
        }
    }

    /// Records the bounds of an integer parameter or field, which may be a companion.
    pub(super) fn add_range(&mut self, declarator: &'a Declarator, range: Option<Range>) {
        if let (Some(name), Some(range)) = (&declarator.name, range) {
            self.ranges.insert(&name.name, range);
        }
    }

    /// Returns the bounds of a length, which are those of the companion.
    pub(super) fn range_of(&self, sized: &Attributes) -> Option<Range> {
        SIZES.into_iter().find_map(|size| {
            let number = simple_name(sized.find(size)?.values().next()?)?;
            let Range { from, to } = *self.ranges.get(number)?;
            // `max_is` and `last_is` refer to the last index, which is one less than the length.
            let is_last = matches!(size, AttributeName::MaxIs | AttributeName::LastIs);
            let more = i128::from(is_last);
            Some(Range { from: from + more, to: to + more })
        })
    }

    /// Returns the directions in which a parameter isn't a companion.
    pub(super) fn remaining(&self, declarator: &Declarator, directions: Directions) -> Directions {
        let name = declarator.name.as_ref().map_or("", |name| &name.name);
        directions.difference(self.directions.get(name).copied().unwrap_or_default())
    }
}

/// Returns the name if the expression is `n` or `*n`. For an expression such as `n * 2`, the value
/// of `n` can't be computed from the length, so `n` isn't a companion.
fn simple_name(expression: &Expression) -> Option<&str> {
    match &expression.without_parentheses().kind {
        ExpressionKind::Name(name) => Some(name),
        ExpressionKind::Unary(UnaryOperator::Dereference, inner) => simple_name(inner),
        _ => None,
    }
}
