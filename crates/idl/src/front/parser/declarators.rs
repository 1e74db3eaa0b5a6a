//! Parses declarators: names with their pointers, arrays and parameter lists.

use super::{ParseError, ParseResult, Parser};
use crate::front::ast::{
    AttributeName, Bounds, Declarator, Derivation, Identifier, Parameter, Parameters,
};
use crate::front::diagnostic::Diagnostic;
use crate::front::limits::DERIVATIONS_MAX;
use crate::front::token::{Punctuation, TokenKind};

/// The keywords for calling conventions.
const CONVENTIONS: &[&str] = &[
    "__stdcall",
    "_stdcall",
    "__cdecl",
    "_cdecl",
    "__fastcall",
    "__pascal",
    "_pascal",
    "STDMETHODCALLTYPE",
    "STDAPICALLTYPE",
    "WINAPI",
    "CALLBACK",
    "__RPC_STUB",
    "__RPC_USER",
    "__RPC_API",
];

impl Parser<'_> {
    /// Parses one declarator, including the width of a bit field. All parts are optional.
    pub(super) fn declarator(&mut self) -> ParseResult<Declarator> {
        let start = self.span();
        let mut derivations = Vec::new();
        let name = self.derived(&mut derivations)?;
        let bits = match self.eat(Punctuation::Colon) {
            true => Some(self.expression()?),
            false => None,
        };
        let span = if self.span() == start { start } else { self.since(start) };
        Ok(Declarator { name, derivations, bits, span })
    }

    /// Parses a comma-separated list of declarators. Each must have a name.
    pub(super) fn declarators(&mut self) -> ParseResult<Vec<Declarator>> {
        let mut declarators = Vec::new();
        loop {
            let declarator = self.declarator()?;
            if declarator.name.is_none() && declarator.bits.is_none() {
                return Err(self.unexpected("a name"));
            }
            declarators.push(declarator);
            if !self.eat(Punctuation::Comma) {
                return Ok(declarators);
            }
        }
    }

    /// Parses pointers followed by a declarator. Appends the derivations, outermost first.
    fn derived(&mut self, derivations: &mut Vec<Derivation>) -> ParseResult<Option<Identifier>> {
        let mut pointers = Vec::new();
        loop {
            if let Some(word) = self.peek().word().filter(|word| CONVENTIONS.contains(word)) {
                let name = self.interner.intern(word);
                self.convention = Some(Identifier { name, span: self.bump().span });
            } else if matches!(self.peek().word(), Some("const" | "volatile")) {
                // Qualifiers of the base type, as in `typedef struct S {…} S, const *PCS;`.
                self.qualifiers();
            } else if self.eat(Punctuation::Star) {
                pointers.push(Derivation::Pointer { is_const: self.qualifiers() });
            } else {
                break;
            }
        }
        let name = if self.is(Punctuation::ParenOpen) && self.is_inner_declarator() {
            self.bump();
            let name = self.nested(|parser| parser.derived(derivations))?;
            self.expect(Punctuation::ParenClose, "after a name in parentheses")?;
            name
        } else {
            match self.peek() {
                TokenKind::Identifier(_) => Some(self.identifier("a name")?),
                _ => None,
            }
        };
        loop {
            if self.is(Punctuation::BracketOpen) && !self.starts_attributes() {
                let bounds = self.bounds()?;
                derivations.push(Derivation::Array(bounds));
            } else if self.is(Punctuation::ParenOpen) {
                let parameters = self.nested(Self::parameters)?;
                derivations.push(Derivation::Function(parameters));
            } else {
                break;
            }
        }
        derivations.extend(pointers.into_iter().rev());
        if derivations.len() > DERIVATIONS_MAX {
            let message = format!(
                "declarator with more than {DERIVATIONS_MAX} pointers, arrays and parameter lists"
            );
            return Err(self.report(Diagnostic::error(self.previous_span(), message)));
        }
        Ok(name)
    }

    /// Returns whether the parenthesis at the current position encloses an inner declarator.
    /// Otherwise, it encloses the parameters of an unnamed function.
    fn is_inner_declarator(&self) -> bool {
        match self.peek_at(1) {
            TokenKind::Punctuation(Punctuation::Star | Punctuation::ParenOpen) => true,
            TokenKind::Identifier(word) if CONVENTIONS.contains(&&**word) => true,
            TokenKind::Identifier(word) => {
                !super::base_types::is_type_word(word)
                    && self.peek_at(2).is(Punctuation::ParenClose)
            }
            _ => false,
        }
    }

    /// Returns whether the bracket at the current position starts the attributes of the next
    /// declaration. In that case, a semicolon or comma is missing before it.
    fn starts_attributes(&self) -> bool {
        let is_attribute =
            self.peek_at(1).word().is_some_and(|word| AttributeName::parse(word).is_some());
        let is_list = match self.peek_at(2) {
            TokenKind::Punctuation(Punctuation::Comma | Punctuation::ParenOpen) => true,
            TokenKind::Punctuation(Punctuation::BracketClose) => self.peek_at(3).word().is_some(),
            _ => false,
        };
        is_attribute && (self.token().starts_line || is_list)
    }

    fn bounds(&mut self) -> ParseResult<Bounds> {
        self.bump();
        let star = self.is(Punctuation::Star) && self.peek_at(1).is(Punctuation::BracketClose);
        if star {
            self.bump();
        }
        if self.eat(Punctuation::BracketClose) {
            return Ok(Bounds::Open);
        }
        let first = Box::new(self.expression()?);
        let bounds = match self.eat(Punctuation::DotDot) || self.eat(Punctuation::Ellipsis) {
            true => Bounds::Range(first, Box::new(self.expression()?)),
            false => Bounds::Length(first),
        };
        self.expect(Punctuation::BracketClose, "after the length of an array")?;
        Ok(bounds)
    }

    /// Parses a parameter list in parentheses. Skips the rest of a parameter that can't be parsed.
    fn parameters(&mut self) -> ParseResult<Parameters> {
        let opening = self.span();
        let convention = self.convention.take();
        self.bump();
        let mut parameters = Parameters { convention, ..Parameters::default() };
        if self.is_word("void") && self.peek_at(1).is(Punctuation::ParenClose) {
            self.bump();
        }
        while !self.is(Punctuation::ParenClose) {
            if self.eat(Punctuation::Ellipsis) {
                parameters.is_variadic = true;
            } else {
                match self.parameter() {
                    Ok(parameter) => parameters.list.push(parameter),
                    Err(ParseError) => self.skip_to(&[Punctuation::Comma, Punctuation::ParenClose]),
                }
            }
            if !self.eat(Punctuation::Comma) && !self.is(Punctuation::ParenClose) {
                if self.starts_method() {
                    self.unexpected("`)` after the last parameter");
                    return Ok(parameters);
                }
                self.after_parameter();
                if self.starts_attributes() {
                    continue;
                }
                self.skip_to(&[Punctuation::Comma, Punctuation::ParenClose]);
                if !self.eat(Punctuation::Comma) {
                    break;
                }
            }
        }
        if !self.eat(Punctuation::ParenClose) {
            return Err(self.report(
                Diagnostic::error(self.span(), "expected `)` at the end of the parameters")
                    .related(opening, "they open here"),
            ));
        }
        self.qualifiers();
        Ok(parameters)
    }

    /// Reports an unexpected token after a parameter.
    fn after_parameter(&mut self) {
        if self.is(Punctuation::And) {
            let message = "expected `,` or `)` after a parameter, found `&`";
            let hint = "there are no references: write `*`, or `REFGUID` and `REFIID` for those";
            self.report_error(message, hint);
            return;
        }
        self.unexpected("`,` or `)` after a parameter");
    }

    /// Returns whether a method starts at the current position, on a new line. In that case, the
    /// closing parenthesis of the previous method is missing.
    fn starts_method(&self) -> bool {
        self.token().starts_line
            && self.peek().word().is_some()
            && self.peek_at(1).word().is_some()
            && self.peek_at(2).is(Punctuation::ParenOpen)
    }

    fn parameter(&mut self) -> ParseResult<Parameter> {
        let start = self.span();
        let mut attributes = self.attributes();
        let specifier = self.nested(Self::type_specifier)?;
        attributes.extend(self.align.take());
        let declarator = self.declarator()?;
        if declarator.name.is_none() && self.is(Punctuation::BracketOpen) {
            let hint = "as in `[in] long value`";
            return Err(self.report_error("attributes stand before the type", hint));
        }
        Ok(Parameter { attributes, specifier, declarator, span: self.since(start) })
    }
}
