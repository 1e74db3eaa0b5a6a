//! Parses attributes: `[in, size_is(n)]`.

use super::{ParseError, ParseResult, Parser};
use crate::front::ast::{
    Argument, Attribute, AttributeName, AttributeSyntax, Attributes, Expression, ExpressionKind,
    TypeName,
};
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::limits::ATTRIBUTES_MAX;
use crate::front::token::{Punctuation, TokenKind, Uuid};

/// Maximum number of tokens that are searched for the end of an attribute list. Few lists have a
/// tenth of this length.
const LOOKED_AHEAD_MAX: usize = 256;

impl Parser<'_> {
    /// Parses the attributes at the current position, if any.
    pub(super) fn attributes(&mut self) -> Attributes {
        let mut attributes = Attributes::default();
        while self.is(Punctuation::BracketOpen) {
            let opening = self.span();
            self.bump();
            let mut list = Vec::new();
            self.attribute_list(&mut list);
            if attributes.list().len() + list.len() > ATTRIBUTES_MAX {
                let message = format!("declaration with more than {ATTRIBUTES_MAX} attributes");
                self.report(Diagnostic::error(opening, message));
                list.truncate(ATTRIBUTES_MAX.saturating_sub(attributes.list().len()));
            }
            attributes.extend(list);
            if !self.eat(Punctuation::BracketClose) {
                // A closing brace was used instead of a bracket. No block can end here.
                let is_brace = self.is(Punctuation::BraceClose) && !self.token().starts_line;
                self.report(
                    Diagnostic::error(self.span(), "expected `]` at the end of the attributes")
                        .related(opening, "they open here"),
                );
                if is_brace {
                    self.bump();
                }
            }
        }
        attributes
    }

    fn attribute_list(&mut self, list: &mut Vec<Attribute>) {
        const ENDS: &[Punctuation] = &[Punctuation::Comma, Punctuation::BracketClose];
        loop {
            while self.eat(Punctuation::Comma) {}
            if !matches!(self.peek(), TokenKind::Identifier(_)) {
                if !self.is(Punctuation::BracketClose) {
                    self.unexpected("an attribute");
                    self.skip_to(ENDS);
                    if self.is(Punctuation::Comma) {
                        continue;
                    }
                }
                return;
            }
            match self.attribute() {
                Ok(attribute) => list.push(attribute),
                Err(ParseError) => self.skip_to(ENDS),
            }
            if self.is(Punctuation::Comma) || self.is(Punctuation::BracketClose) {
                continue;
            }
            if self.takes_arguments(list.last()) {
                self.arguments_without_parentheses(list);
                continue;
            }
            self.unexpected("`,` or `]` after an attribute");
            // If an attribute follows, only the comma is missing. If another word follows and no
            // bracket closes the list, the bracket is missing.
            match self.peek().word() {
                Some(word) if AttributeName::parse(word).is_some() => {}
                Some(_) if !self.list_closes() => return,
                None if self.is(Punctuation::BraceClose) => return,
                _ => self.skip_to(ENDS),
            }
        }
    }

    /// Returns whether the last attribute lacks required arguments, so that the following tokens
    /// are probably its arguments.
    fn takes_arguments(&self, last: Option<&Attribute>) -> bool {
        let Some(Attribute { known: Some(known), arguments, .. }) = last else { return false };
        let follows = match self.peek() {
            TokenKind::Punctuation(punctuation) => {
                matches!(punctuation, Punctuation::Equal | Punctuation::BracketOpen)
            }
            TokenKind::Identifier(word) => AttributeName::parse(word).is_none(),
            TokenKind::End => false,
            _ => true,
        };
        follows && arguments.is_empty() && known.syntax().counts().0 > 0 && self.list_closes()
    }

    /// Skips arguments that have no parentheses around them, and reports that the parentheses are
    /// missing. Drops the attribute, so that its missing arguments aren't reported again.
    fn arguments_without_parentheses(&mut self, list: &mut Vec<Attribute>) {
        let Some(attribute) = list.pop() else { return };
        let name = &attribute.name.name;
        let message = format!("the arguments of {} stand in parentheses", quoted(name));
        self.report_error(&message, &format!("as in `{name}(…)`"));
        self.skip_to(&[Punctuation::Comma, Punctuation::BracketClose]);
    }

    /// Returns whether a closing bracket appears before the next token that can't be part of an
    /// attribute list.
    fn list_closes(&self) -> bool {
        let mut open = 0_usize;
        for token in self.tokens[self.at..].iter().take(LOOKED_AHEAD_MAX) {
            let TokenKind::Punctuation(punctuation) = token.kind else { continue };
            match punctuation {
                Punctuation::BracketClose if open == 0 => return true,
                Punctuation::BracketOpen | Punctuation::ParenOpen => open += 1,
                Punctuation::BracketClose | Punctuation::ParenClose if open > 0 => open -= 1,
                Punctuation::ParenClose | Punctuation::Semicolon => return false,
                Punctuation::BraceOpen | Punctuation::BraceClose => return false,
                _ => {}
            }
        }
        false
    }

    fn attribute(&mut self) -> ParseResult<Attribute> {
        let start = self.span();
        let token = self.bump();
        let TokenKind::Identifier(name) = &token.kind else { return Err(ParseError) };
        let name = super::Identifier { name: name.clone(), span: token.span };
        let known = AttributeName::parse(&name.name);
        let mut arguments = Vec::new();
        if self.is(Punctuation::ParenOpen) {
            let opening = self.span();
            self.bump();
            self.arguments(known.map(AttributeName::syntax), &mut arguments)?;
            if !self.eat(Punctuation::ParenClose) && !self.previous_is_unterminated() {
                let found = self.unexpected("`,` or `)` after an argument");
                self.skip_to(&[Punctuation::ParenClose, Punctuation::BracketClose]);
                if !self.eat(Punctuation::ParenClose) {
                    self.report(
                        Diagnostic::error(self.span(), "expected `)` at the end of the arguments")
                            .related(opening, "they open here"),
                    );
                    return Err(found);
                }
            }
        }
        Ok(Attribute { name, known, arguments, span: self.since(start) })
    }

    /// Parses the arguments in an attribute's parentheses.
    fn arguments(
        &mut self,
        syntax: Option<AttributeSyntax>,
        arguments: &mut Vec<Argument>,
    ) -> ParseResult<()> {
        match syntax {
            Some(AttributeSyntax::Uuid) => arguments.push(Argument::Value(self.uuid()?)),
            Some(AttributeSyntax::Type) => arguments.push(Argument::Type(self.type_name()?)),
            Some(AttributeSyntax::Handle) => {
                let specifier = Box::new(self.type_specifier()?);
                let handle = TypeName { specifier, derivations: Vec::new() };
                arguments.push(Argument::Type(handle));
                let name = self.identifier("the name of the handle")?;
                let kind = ExpressionKind::Name(name.name);
                arguments.push(Argument::Value(Expression { kind, span: name.span }));
            }
            Some(AttributeSyntax::Custom) => {
                arguments.push(Argument::Value(self.uuid()?));
                self.expect(Punctuation::Comma, "between the UUID and its value")?;
                arguments.push(Argument::Value(self.expression()?));
            }
            _ if self.is(Punctuation::ParenClose) => {}
            _ => loop {
                let omitted = self.is(Punctuation::Comma) || self.is(Punctuation::ParenClose);
                arguments.push(if omitted {
                    Argument::Omitted
                } else {
                    Argument::Value(self.expression()?)
                });
                if !self.eat(Punctuation::Comma) {
                    break;
                }
            },
        }
        Ok(())
    }

    /// Parses a UUID, which may be in braces or a string.
    pub(super) fn uuid(&mut self) -> ParseResult<Expression> {
        let start = self.span();
        let braced = self.eat(Punctuation::BraceOpen);
        let uuid = match self.peek() {
            TokenKind::Uuid(uuid) => Some(*uuid),
            TokenKind::String { text, .. } => {
                Uuid::parse(text.trim_start_matches('{').trim_end_matches('}'))
            }
            _ => None,
        };
        let Some(uuid) = uuid else {
            if self.lacks_macros && self.peek().word().is_some() {
                self.bump();
                return Err(ParseError);
            }
            self.skip_to(&[Punctuation::ParenClose, Punctuation::Comma]);
            let span = self.since(start);
            let written = if span == start || span.start() == start.start() { span } else { start };
            self.report(
                Diagnostic::error(written, "this isn't a UUID")
                    .hint("a UUID has 8, 4, 4, 4 and 12 hexadecimal digits, joined by `-`"),
            );
            // Returns an empty UUID in place of a malformed one, so that the UUID isn't also
            // reported as missing.
            return Ok(Expression { kind: ExpressionKind::Uuid(Uuid(0)), span: written });
        };
        self.bump();
        if braced {
            self.expect(Punctuation::BraceClose, "after the UUID")?;
        }
        Ok(Expression { kind: ExpressionKind::Uuid(uuid), span: self.since(start) })
    }
}
