//! Parameters and fields that only give the length or the arm of another one. In Rust, the other
//! type carries its length or its arm itself, so they are removed, and their bounds apply to the
//! other type.

use std::collections::HashMap;

use super::types::SIZES;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, Declarator, Expression, ExpressionKind, UnaryOperator,
};
use syshandle_model::Range;

/// For each name, whether the parameter is removed from the inputs and from the outputs.
#[derive(Default)]
pub(super) struct Neighbours<'a> {
    described: HashMap<&'a str, Ways>,
    /// The bounds of numbers that have a `range`.
    ranges: HashMap<&'a str, Range>,
}

/// The directions in which a value travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) is_in: bool,
    pub(super) is_out: bool,
}

impl Ways {
    /// Returns the directions of a parameter. Without an attribute, a parameter is an input.
    pub(super) fn of(attributes: &Attributes) -> Self {
        let is_out = attributes.has(AttributeName::Out) || attributes.has(AttributeName::Retval);
        Self { is_in: attributes.has(AttributeName::In) || !is_out, is_out }
    }
}

impl<'a> Neighbours<'a> {
    /// Records which other parameters the attributes of one parameter name.
    pub(super) fn add(&mut self, attributes: &'a Attributes, ways: Ways) {
        for name in SIZES.into_iter().chain([AttributeName::SwitchIs]) {
            for value in attributes.find(name).into_iter().flat_map(Attribute::values) {
                let Some(name) = alone(value) else { continue };
                let known = self.described.entry(name).or_default();
                known.is_in |= ways.is_in;
                known.is_out |= ways.is_out;
            }
        }
    }

    /// Records the bounds of a number.
    pub(super) fn bounded(&mut self, declarator: &'a Declarator, range: Option<Range>) {
        if let (Some(name), Some(range)) = (&declarator.name, range) {
            self.ranges.insert(&name.name, range);
        }
    }

    /// Returns the bounds of a length, from the number that gives it.
    pub(super) fn range_of(&self, sized: &Attributes) -> Option<Range> {
        SIZES.into_iter().find_map(|size| {
            let number = alone(sized.find(size)?.values().next()?)?;
            let Range { from, to } = *self.ranges.get(number)?;
            // `max_is` and `last_is` give the last index, which is one less than the length.
            let is_last = matches!(size, AttributeName::MaxIs | AttributeName::LastIs);
            let more = i128::from(is_last);
            Some(Range { from: from + more, to: to + more })
        })
    }

    /// Returns the directions in which a parameter remains.
    pub(super) fn left(&self, declarator: &Declarator, ways: Ways) -> Ways {
        let name = declarator.name.as_ref().map_or("", |name| &name.name);
        let gone = self.described.get(name).copied().unwrap_or_default();
        Ways { is_in: ways.is_in && !gone.is_in, is_out: ways.is_out && !gone.is_out }
    }
}

/// Returns the name in an expression of the form `n` or `*n`. The value in `n * 2` can't be derived
/// from the length alone.
fn alone(expression: &Expression) -> Option<&str> {
    match &expression.without_parentheses().kind {
        ExpressionKind::Name(name) => Some(name),
        ExpressionKind::Unary(UnaryOperator::Dereference, inner) => alone(inner),
        _ => None,
    }
}
