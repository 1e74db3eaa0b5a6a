//! Parameters and fields that only say how long another one is, or which arm of it is there: the
//! other one carries that itself, so they disappear.

use std::collections::HashMap;

use crate::front::ast::{
    Attribute, AttributeName, Attributes, Declarator, Expression, ExpressionKind, UnaryOperator,
};

/// By their names: whether they disappear from what goes in, and from what comes out.
#[derive(Default)]
pub(super) struct Neighbours<'a> {
    described: HashMap<&'a str, Ways>,
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
        for name in [AttributeName::SizeIs, AttributeName::LengthIs, AttributeName::SwitchIs] {
            for value in attributes.find(name).into_iter().flat_map(Attribute::values) {
                let Some(name) = alone(value) else { continue };
                let known = self.described.entry(name).or_default();
                known.is_in |= ways.is_in;
                known.is_out |= ways.is_out;
            }
        }
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
