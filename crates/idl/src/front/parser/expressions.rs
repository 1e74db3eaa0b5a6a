//! Parses expressions with the operator precedence of C.

use super::{ParseResult, Parser};
use crate::front::ast::{BinaryOperator, Expression, ExpressionKind, TypeName, UnaryOperator};
use crate::front::diagnostic::Diagnostic;
use crate::front::limits::OPERATORS_MAX;
use crate::front::source::Span;
use crate::front::token::{Punctuation, TokenKind};

impl Parser<'_> {
    /// Parses an expression that doesn't contain the comma operator.
    pub(crate) fn expression(&mut self) -> ParseResult<Expression> {
        let outer = std::mem::take(&mut self.operators);
        let expression = self.conditional();
        self.operators = outer;
        expression
    }

    /// Parses an expression that must extend to the end of the tokens.
    pub(crate) fn whole_expression(&mut self) -> ParseResult<Expression> {
        let expression = self.expression()?;
        match self.peek() {
            TokenKind::End => Ok(expression),
            _ => Err(self.unexpected("an operator or the end of the line")),
        }
    }

    fn conditional(&mut self) -> ParseResult<Expression> {
        self.nested(|parser| {
            let condition = parser.binary(1)?;
            if !parser.eat(Punctuation::Question) {
                return Ok(condition);
            }
            let then = parser.conditional()?;
            parser.expect(Punctuation::Colon, "between the two values of `?`")?;
            let otherwise = parser.conditional()?;
            let span = condition.span.to(otherwise.span);
            let kind = ExpressionKind::Conditional(
                Box::new(condition),
                Box::new(then),
                Box::new(otherwise),
            );
            Ok(Expression { kind, span })
        })
    }

    /// Parses a chain of operands and binary operators whose precedence is at least `precedence`.
    fn binary(&mut self, precedence: u8) -> ParseResult<Expression> {
        let mut left = self.unary()?;
        while let TokenKind::Punctuation(punctuation) = *self.peek() {
            let Some((operator, binds)) = binary_operator(punctuation) else { break };
            if binds < precedence {
                break;
            }
            self.bump();
            self.count_operator(left.span)?;
            let right = self.binary(binds + 1)?;
            let span = left.span.to(right.span);
            let kind = ExpressionKind::Binary(operator, Box::new(left), Box::new(right));
            left = Expression { kind, span };
        }
        Ok(left)
    }

    fn unary(&mut self) -> ParseResult<Expression> {
        let start = self.span();
        let operator = match self.peek() {
            TokenKind::Punctuation(punctuation) => unary_operator(*punctuation),
            _ => None,
        };
        if let Some(operator) = operator {
            self.bump();
            let operand = self.nested(Self::unary)?;
            let kind = ExpressionKind::Unary(operator, Box::new(operand));
            return Ok(Expression { kind, span: self.since(start) });
        }
        if self.is_word("sizeof") {
            return self.size_of();
        }
        if self.is(Punctuation::ParenOpen) && self.is_cast() {
            self.bump();
            let to = self.type_name()?;
            self.expect(Punctuation::ParenClose, "after the type of a cast")?;
            let operand = self.nested(Self::unary)?;
            let kind = ExpressionKind::Cast(to, Box::new(operand));
            return Ok(Expression { kind, span: self.since(start) });
        }
        self.postfix()
    }

    fn size_of(&mut self) -> ParseResult<Expression> {
        let start = self.span();
        self.bump();
        let names_type =
            self.is(Punctuation::ParenOpen) && matches!(self.peek_at(1), TokenKind::Identifier(_));
        let kind = if names_type {
            self.bump();
            let of: TypeName = self.type_name()?;
            self.expect(Punctuation::ParenClose, "after the type")?;
            ExpressionKind::SizeOfType(of)
        } else {
            ExpressionKind::SizeOf(Box::new(self.nested(Self::unary)?))
        };
        Ok(Expression { kind, span: self.since(start) })
    }

    fn postfix(&mut self) -> ParseResult<Expression> {
        let start = self.span();
        let mut expression = self.primary()?;
        loop {
            let kind = if self.eat(Punctuation::Dot) || self.eat(Punctuation::Arrow) {
                let member = self.identifier("the name of a member")?;
                ExpressionKind::Member(Box::new(expression), member)
            } else if self.eat(Punctuation::BracketOpen) {
                let index = self.conditional()?;
                self.expect(Punctuation::BracketClose, "after an index")?;
                ExpressionKind::Index(Box::new(expression), Box::new(index))
            } else if self.eat(Punctuation::ParenOpen) {
                ExpressionKind::Call(Box::new(expression), self.call_arguments()?)
            } else {
                return Ok(expression);
            };
            self.count_operator(start)?;
            expression = Expression { kind, span: self.since(start) };
        }
    }

    fn call_arguments(&mut self) -> ParseResult<Vec<Expression>> {
        let mut arguments = Vec::new();
        if self.eat(Punctuation::ParenClose) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.conditional()?);
            if !self.eat(Punctuation::Comma) {
                break;
            }
        }
        self.expect(Punctuation::ParenClose, "after the arguments")?;
        Ok(arguments)
    }

    fn primary(&mut self) -> ParseResult<Expression> {
        let start = self.span();
        let kind = match self.peek() {
            TokenKind::Number(text) => ExpressionKind::Number(text.clone()),
            TokenKind::Character { text, wide } => {
                ExpressionKind::Character { text: text.clone(), wide: *wide }
            }
            TokenKind::Identifier(name) => ExpressionKind::Name(name.clone()),
            TokenKind::Uuid(uuid) => ExpressionKind::Uuid(*uuid),
            TokenKind::String { wide, .. } => {
                let text = self.string("a string")?;
                let kind = ExpressionKind::String { text, wide: *wide };
                return Ok(Expression { kind, span: self.since(start) });
            }
            kind if kind.is(Punctuation::ParenOpen) => {
                self.bump();
                let inner = self.conditional()?;
                self.expect(Punctuation::ParenClose, "after an expression in parentheses")?;
                let kind = ExpressionKind::Parenthesized(Box::new(inner));
                return Ok(Expression { kind, span: self.since(start) });
            }
            _ => return Err(self.unexpected("an expression")),
        };
        self.bump();
        Ok(Expression { kind, span: start })
    }

    /// Returns whether the parenthesis at the current position encloses the type of a cast. Because
    /// the parser doesn't know which names are types, it parses `(a) - b` as a subtraction.
    /// Evaluation corrects this.
    fn is_cast(&self) -> bool {
        let Some(first) = self.peek_at(1).word() else { return false };
        if super::base_types::is_type_word(first) {
            return true;
        }
        match self.peek_at(2) {
            kind if kind.is(Punctuation::Star) => self.peek_at(3).is(Punctuation::ParenClose),
            kind if kind.is(Punctuation::ParenClose) => match self.peek_at(3) {
                TokenKind::Punctuation(after) => {
                    matches!(after, Punctuation::ParenOpen | Punctuation::Tilde | Punctuation::Not)
                }
                TokenKind::Unknown(_) | TokenKind::End => false,
                _ => true,
            },
            _ => false,
        }
    }

    fn count_operator(&mut self, start: Span) -> ParseResult<()> {
        self.operators += 1;
        if self.operators <= OPERATORS_MAX {
            return Ok(());
        }
        let message = format!("expression with more than {OPERATORS_MAX} operators");
        Err(self.report(Diagnostic::error(start, message)))
    }
}

fn unary_operator(punctuation: Punctuation) -> Option<UnaryOperator> {
    Some(match punctuation {
        Punctuation::Plus => UnaryOperator::Plus,
        Punctuation::Minus => UnaryOperator::Minus,
        Punctuation::Not => UnaryOperator::Not,
        Punctuation::Tilde => UnaryOperator::Complement,
        Punctuation::Star => UnaryOperator::Dereference,
        Punctuation::And => UnaryOperator::AddressOf,
        _ => return None,
    })
}

/// Returns the binary operator for a token, with its precedence.
fn binary_operator(punctuation: Punctuation) -> Option<(BinaryOperator, u8)> {
    Some(match punctuation {
        Punctuation::OrOr => (BinaryOperator::Or, 1),
        Punctuation::AndAnd => (BinaryOperator::And, 2),
        Punctuation::Or => (BinaryOperator::BitOr, 3),
        Punctuation::Xor => (BinaryOperator::BitXor, 4),
        Punctuation::And => (BinaryOperator::BitAnd, 5),
        Punctuation::EqualEqual => (BinaryOperator::Equal, 6),
        Punctuation::NotEqual => (BinaryOperator::NotEqual, 6),
        Punctuation::Less => (BinaryOperator::Less, 7),
        Punctuation::LessEqual => (BinaryOperator::LessEqual, 7),
        Punctuation::Greater => (BinaryOperator::Greater, 7),
        Punctuation::GreaterEqual => (BinaryOperator::GreaterEqual, 7),
        Punctuation::ShiftLeft => (BinaryOperator::ShiftLeft, 8),
        Punctuation::ShiftRight => (BinaryOperator::ShiftRight, 8),
        Punctuation::Plus => (BinaryOperator::Add, 9),
        Punctuation::Minus => (BinaryOperator::Subtract, 9),
        Punctuation::Star => (BinaryOperator::Multiply, 10),
        Punctuation::Slash => (BinaryOperator::Divide, 10),
        Punctuation::Percent => (BinaryOperator::Remainder, 10),
        _ => return None,
    })
}
