//! `[in, size_is(n)]`.

use super::{Parsed, Parser, Reported};
use crate::front::ast::{
    Argument, Attribute, AttributeName, Attributes, Expression, ExpressionKind, Shape, TypeName,
};
use crate::front::diagnostic::Diagnostic;
use crate::front::token::{Punctuation, TokenKind, Uuid};

impl Parser<'_> {
    /// Reads the attributes that stand here, if any do.
    pub(super) fn attributes(&mut self) -> Attributes {
        let mut attributes = Attributes::default();
        while self.is(Punctuation::BracketOpen) {
            let opening = self.span();
            self.bump();
            self.attribute_list(&mut attributes.list);
            if !self.eat(Punctuation::BracketClose) {
                self.report(
                    Diagnostic::error(self.span(), "expected `]` at the end of the attributes")
                        .related(opening, "they open here"),
                );
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
                Err(Reported) => self.skip_to(ENDS),
            }
            if !self.is(Punctuation::Comma) && !self.is(Punctuation::BracketClose) {
                self.unexpected("`,` or `]` after an attribute");
                // Where an attribute follows, only the comma is missing; where another word
                // does, the bracket.
                match self.peek().word() {
                    Some(word) if AttributeName::parse(word).is_some() => {}
                    Some(_) => return,
                    None => self.skip_to(ENDS),
                }
            }
        }
    }

    fn attribute(&mut self) -> Parsed<Attribute> {
        let start = self.span();
        let token = self.bump();
        let TokenKind::Identifier(name) = &token.kind else { return Err(Reported) };
        let name = super::Identifier { name: name.clone(), span: token.span };
        let known = AttributeName::parse(&name.name);
        let mut arguments = Vec::new();
        if self.is(Punctuation::ParenOpen) {
            let opening = self.span();
            self.bump();
            self.arguments(known.map(AttributeName::shape), &mut arguments)?;
            if !self.eat(Punctuation::ParenClose) {
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

    /// Reads what stands between an attribute's parentheses.
    fn arguments(&mut self, shape: Option<Shape>, arguments: &mut Vec<Argument>) -> Parsed<()> {
        match shape {
            Some(Shape::Uuid) => arguments.push(Argument::Value(self.uuid()?)),
            Some(Shape::Type) => arguments.push(Argument::Type(self.type_name()?)),
            Some(Shape::Handle) => {
                let specifier = Box::new(self.type_specifier()?);
                let handle = TypeName { specifier, derivations: Vec::new() };
                arguments.push(Argument::Type(handle));
                let name = self.identifier("the name of the handle")?;
                let kind = ExpressionKind::Name(name.name);
                arguments.push(Argument::Value(Expression { kind, span: name.span }));
            }
            Some(Shape::Custom) => {
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

    /// Reads a UUID, bare, in braces or in a string.
    pub(super) fn uuid(&mut self) -> Parsed<Expression> {
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
            self.skip_to(&[Punctuation::ParenClose, Punctuation::Comma]);
            let span = self.since(start);
            let written = if span == start || span.start() == start.start() { span } else { start };
            return Err(self.report(
                Diagnostic::error(written, "this isn't a UUID")
                    .hint("a UUID has 8, 4, 4, 4 and 12 hexadecimal digits, joined by `-`"),
            ));
        };
        self.bump();
        if braced {
            self.expect(Punctuation::BraceClose, "after the UUID")?;
        }
        Ok(Expression { kind: ExpressionKind::Uuid(uuid), span: self.since(start) })
    }
}
