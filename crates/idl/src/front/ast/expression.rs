//! Expressions, which are used for constants, array bounds, sizes and access masks.

use super::{Identifier, TypeName};
use crate::front::source::Span;
use crate::front::token::{Name, Uuid};

/// An expression and its position.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) kind: ExpressionKind,
    pub(crate) span: Span,
}

/// The forms of an expression.
#[derive(Clone, Debug)]
pub(crate) enum ExpressionKind {
    /// A number as written: `0x1Fu`, `1.0`.
    Number(Name),
    /// A string, with unprocessed escapes. Adjacent strings are joined.
    String {
        /// The text between the quotes.
        text: Name,
        /// Whether the elements are of type `wchar_t`.
        wide: bool,
    },
    /// A character constant, with unprocessed escapes.
    Character {
        /// The text between the quotes.
        text: Name,
        /// Whether the constant is of type `wchar_t`.
        wide: bool,
    },
    /// A UUID, as the argument of an attribute.
    Uuid(Uuid),
    /// The name of a constant, parameter, field or enumerator.
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
    /// `a(b, c)`, a call to a macro that isn't defined in the `.idl` files.
    Call(Box<Expression>, Vec<Expression>),
}

/// A prefix operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOperator {
    Plus,
    Minus,
    Not,
    Complement,
    Dereference,
    AddressOf,
}

/// A binary operator.
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
    /// Returns the expression without enclosing parentheses.
    pub(crate) fn without_parentheses(&self) -> &Expression {
        let mut inner = self;
        while let ExpressionKind::Parenthesized(within) = &inner.kind {
            inner = within;
        }
        inner
    }

    /// Returns the name if the expression is only a name.
    pub(crate) fn as_name(&self) -> Option<&Name> {
        match &self.kind {
            ExpressionKind::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the text if the expression is only a string.
    pub(crate) fn as_string(&self) -> Option<&Name> {
        match &self.kind {
            ExpressionKind::String { text, .. } => Some(text),
            _ => None,
        }
    }
}
