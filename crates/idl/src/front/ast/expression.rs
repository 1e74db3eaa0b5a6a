//! Expressions: constants, array bounds, sizes, access masks.

use super::{Identifier, TypeName};
use crate::front::source::Span;
use crate::front::token::{Name, Uuid};

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    /// What it is.
    pub(crate) kind: ExpressionKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum ExpressionKind {
    /// A number as it is written: `0x1Fu`, `1.0`.
    Number(Name),
    /// A string's text, with its escapes as they are written; pieces that follow each other are
    /// one.
    String {
        /// The text between the quotes.
        text: Name,
        /// It is of `wchar_t`.
        wide: bool,
    },
    /// A character constant's text, with its escapes as they are written.
    Character {
        /// The text between the quotes.
        text: Name,
        /// It is of `wchar_t`.
        wide: bool,
    },
    /// A UUID, where an attribute takes one.
    Uuid(Uuid),
    /// A constant, a parameter, a field or an enumerator.
    Name(Name),
    /// `(a)`.
    Parenthesized(Box<Expression>),
    /// `-a`, `*a`.
    Unary(UnaryOperator, Box<Expression>),
    /// `a + b`.
    Binary(BinaryOperator, Box<Expression>, Box<Expression>),
    /// `a ? b : c`.
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `(DWORD)a`.
    Cast(TypeName, Box<Expression>),
    /// `sizeof(DWORD)`.
    SizeOfType(TypeName),
    /// `sizeof a`.
    SizeOf(Box<Expression>),
    /// `a.b` or `a->b`.
    Member(Box<Expression>, Identifier),
    /// `a[b]`.
    Index(Box<Expression>, Box<Expression>),
    /// `a(b, c)`: what is left of a macro that isn't defined here.
    Call(Box<Expression>, Vec<Expression>),
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOperator {
    Plus,
    Minus,
    Not,
    Complement,
    Dereference,
    AddressOf,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    ShiftLeft,
    ShiftRight,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    BitAnd,
    BitXor,
    BitOr,
    And,
    Or,
}

impl Expression {
    /// The expression inside any parentheses around it.
    pub(crate) fn without_parentheses(&self) -> &Expression {
        let mut inner = self;
        while let ExpressionKind::Parenthesized(within) = &inner.kind {
            inner = within;
        }
        inner
    }

    /// The name that the whole expression is, if it is one.
    pub(crate) fn as_name(&self) -> Option<&Name> {
        match &self.kind {
            ExpressionKind::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The text that the whole expression is, if it is a string.
    pub(crate) fn as_string(&self) -> Option<&Name> {
        match &self.kind {
            ExpressionKind::String { text, .. } => Some(text),
            _ => None,
        }
    }
}
