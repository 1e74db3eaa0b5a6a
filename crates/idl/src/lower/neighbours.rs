//! Parameters and fields that only say how long another one is, or which arm of it is there: the
//! other one carries that itself, so they disappear, and their bounds become its own.

use std::collections::HashMap;

use super::types::SIZES;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, Declarator, Expression, ExpressionKind, UnaryOperator,
};
use syshandle_model::Range;

/// By their names: whether they disappear from what goes in, and from what comes out.
#[derive(Default)]
pub(super) struct Neighbours<'a> {
    described: HashMap<&'a str, Ways>,
    /// The bounds that numbers have by `range`.
    ranges: HashMap<&'a str, Range>,
}

/// Which way a value goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) is_in: bool,
    pub(super) is_out: bool,
}

impl Ways {
    /// Those of a parameter. What doesn't say goes in.
    pub(super) fn of(attributes: &Attributes) -> Self {
        let is_out = attributes.has(AttributeName::Out) || attributes.has(AttributeName::Retval);
        Self { is_in: attributes.has(AttributeName::In) || !is_out, is_out }
    }
}

impl<'a> Neighbours<'a> {
    /// Notes what one parameter says of others.
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

    /// Notes the bounds of a number.
    pub(super) fn bounded(&mut self, declarator: &'a Declarator, range: Option<Range>) {
        if let (Some(name), Some(range)) = (&declarator.name, range) {
            self.ranges.insert(&name.name, range);
        }
    }

    /// The bounds of how many elements there are, from the number that says it.
    pub(super) fn range_of(&self, sized: &Attributes) -> Option<Range> {
        SIZES.into_iter().find_map(|size| {
            let number = alone(sized.find(size)?.values().next()?)?;
            let Range { from, to } = *self.ranges.get(number)?;
            // One less than how many there are.
            let is_last = matches!(size, AttributeName::MaxIs | AttributeName::LastIs);
            let more = i128::from(is_last);
            Some(Range { from: from + more, to: to + more })
        })
    }

    /// What is left of the ways of the parameter with this name.
    pub(super) fn left(&self, declarator: &Declarator, ways: Ways) -> Ways {
        let name = declarator.name.as_ref().map_or("", |name| &name.name);
        let gone = self.described.get(name).copied().unwrap_or_default();
        Ways { is_in: ways.is_in && !gone.is_in, is_out: ways.is_out && !gone.is_out }
    }
}

/// The name that an expression is by itself: `n` or `*n`. `n * 2` says more than the length does.
fn alone(expression: &Expression) -> Option<&str> {
    match &expression.without_parentheses().kind {
        ExpressionKind::Name(name) => Some(name),
        ExpressionKind::Unary(UnaryOperator::Dereference, inner) => alone(inner),
        _ => None,
    }
}
