//! Finds companions: parameters and fields that only give the length or the discriminant of another
//! one. In Rust, the type of the other one includes its length or its discriminant, so companions
//! are removed, and their bounds apply to the other type.

use std::collections::HashMap;

use super::types::SIZES;
use crate::directions::Directions;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, Declarator, Expression, ExpressionKind, UnaryOperator,
};
use syshandle_model::Range;

/// The companions in a list of parameters or fields. A companion gives the length or the
/// discriminant of another member, so it is removed in the directions of that member.
#[derive(Default)]
pub(super) struct Companions<'a> {
    directions: HashMap<&'a str, Directions>,
    /// The bounds of numbers that have a `range`.
    ranges: HashMap<&'a str, Range>,
}

impl<'a> Companions<'a> {
    /// Records which other parameters the attributes of one parameter name.
    pub(super) fn add(&mut self, attributes: &'a Attributes, directions: Directions) {
        for name in SIZES.into_iter().chain([AttributeName::SwitchIs]) {
            for value in attributes.find(name).into_iter().flat_map(Attribute::values) {
                let Some(name) = simple_name(value) else { continue };
                let known = self.directions.entry(name).or_default();
                *known = known.union(directions);
            }
        }
    }

    /// Records the bounds of a number.
    pub(super) fn add_range(&mut self, declarator: &'a Declarator, range: Option<Range>) {
        if let (Some(name), Some(range)) = (&declarator.name, range) {
            self.ranges.insert(&name.name, range);
        }
    }

    /// Returns the bounds of a length, from the number that gives it.
    pub(super) fn range_of(&self, sized: &Attributes) -> Option<Range> {
        SIZES.into_iter().find_map(|size| {
            let number = simple_name(sized.find(size)?.values().next()?)?;
            let Range { from, to } = *self.ranges.get(number)?;
            // `max_is` and `last_is` give the last index, which is one less than the length.
            let is_last = matches!(size, AttributeName::MaxIs | AttributeName::LastIs);
            let more = i128::from(is_last);
            Some(Range { from: from + more, to: to + more })
        })
    }

    /// Returns the directions in which a parameter remains.
    pub(super) fn remaining(&self, declarator: &Declarator, directions: Directions) -> Directions {
        let name = declarator.name.as_ref().map_or("", |name| &name.name);
        directions.difference(self.directions.get(name).copied().unwrap_or_default())
    }
}

/// Returns the name in an expression of the form `n` or `*n`. The value in `n * 2` can't be derived
/// from the length alone.
fn simple_name(expression: &Expression) -> Option<&str> {
    match &expression.without_parentheses().kind {
        ExpressionKind::Name(name) => Some(name),
        ExpressionKind::Unary(UnaryOperator::Dereference, inner) => simple_name(inner),
        _ => None,
    }
}
