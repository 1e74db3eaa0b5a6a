//! Parses tokens into the syntax tree.
//!
//! Each function parses one grammar production. If it can't continue, it reports an error and
//! returns [`ParseError`]. The function that parses the enclosing list then skips to the end of the
//! element and continues with the next one. A single run therefore finds all errors of a file.

mod attributes;
mod base_types;
mod declarators;
mod expressions;
mod interfaces;
mod items;
mod libraries;
mod recovery;
mod types;

use std::collections::HashSet;

use super::ast::{Attribute, Identifier, Item};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::limits::NESTING_DEPTH_MAX;
use super::source::Span;
use super::steps;
use super::token::{Interner, Name, Punctuation, Token, TokenKind};

/// A marker type: the error has already been reported as a diagnostic.
#[derive(Debug)]
pub(crate) struct ParseError;

/// A parsed value, or an error that has been reported.
pub(crate) type ParseResult<T> = Result<T, ParseError>;

/// Words that can't be used as names.
const RESERVED: &[&str] =
    &["const", "cpp_quote", "enum", "import", "interface", "struct", "typedef", "union"];

/// Parses the declarations of a file. Also returns whether the file calls undefined macros.
/// `lacks_macros` means that a file that may define macros is missing; a call of an unknown macro
/// is then not an error.
pub(crate) fn parse(
    tokens: &[Token],
    interner: &mut Interner,
    diagnostics: &mut Diagnostics,
    lacks_macros: bool,
) -> (Vec<Item>, bool) {
    let mut parser = Parser::new(tokens, interner, diagnostics);
    parser.lacks_macros = lacks_macros;
    let items = parser.file();
    let calls_undefined = !parser.undefined_macros.is_empty();
    (items, calls_undefined)
}

/// The current position in the tokens, and the results so far.
pub(crate) struct Parser<'t> {
    /// The tokens. The last one marks the end of the file.
    tokens: &'t [Token],
    at: usize,
    interner: &'t mut Interner,
    diagnostics: &'t mut Diagnostics,
    depth: usize,
    /// The number of operators parsed so far in the current expression.
    operators: usize,
    /// The total number of name parts of all enclosing namespaces.
    namespace_parts: usize,
    namespace_bytes: usize,
    /// The alignment specified by a `__declspec` before a type.
    align: Option<Attribute>,
    /// The calling convention for the next parameter list.
    convention: Option<Identifier>,
    /// Whether the first half of a `>>` token has been consumed as the end of a type argument list.
    half_consumed: bool,
    /// The token index of the last error. At most one error is reported for each token.
    last_error_at: Option<usize>,
    /// A description of the end of the token list, for messages.
    end: &'static str,
    /// Whether a file that may define macros is missing. This has already been reported.
    lacks_macros: bool,
    /// The undefined macros that have been called so far.
    undefined_macros: HashSet<Name>,
}

impl<'t> Parser<'t> {
    pub(crate) fn new(
        tokens: &'t [Token],
        interner: &'t mut Interner,
        diagnostics: &'t mut Diagnostics,
    ) -> Self {
        Self {
            tokens,
            at: 0,
            interner,
            diagnostics,
            depth: 0,
            operators: 0,
            namespace_parts: 0,
            namespace_bytes: 0,
            align: None,
            convention: None,
            half_consumed: false,
            last_error_at: None,
            end: "the end of the file",
            lacks_macros: false,
            undefined_macros: HashSet::new(),
        }
    }

    /// Creates a parser for the line of a preprocessor directive.
    pub(crate) fn of_line(
        tokens: &'t [Token],
        interner: &'t mut Interner,
        diagnostics: &'t mut Diagnostics,
    ) -> Self {
        Self { end: "the end of the line", ..Self::new(tokens, interner, diagnostics) }
    }

    /// Parses all declarations up to the end of the file.
    fn file(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            self.items(&mut items);
            if *self.peek() == TokenKind::End {
                return items;
            }
            self.report_error("this `}` closes nothing", "");
            self.bump();
            self.eat(Punctuation::Semicolon);
        }
    }

    fn token(&self) -> &'t Token {
        steps::count(1);
        &self.tokens[self.at]
    }

    fn peek(&self) -> &'t TokenKind {
        &self.token().kind
    }

    /// Returns the token at an offset from the current one. Returns the end token if the offset is
    /// too large.
    fn peek_at(&self, offset: usize) -> &'t TokenKind {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + offset).min(last)].kind
    }

    fn span(&self) -> Span {
        self.token().span
    }

    /// Returns the span of the previous token.
    fn previous_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    /// Returns the span from a start position to the last consumed token.
    fn since(&self, start: Span) -> Span {
        start.to(self.previous_span())
    }

    fn bump(&mut self) -> &'t Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        self.half_consumed = false;
        token
    }

    fn is(&self, punctuation: Punctuation) -> bool {
        self.peek().is(punctuation)
    }

    fn is_word(&self, word: &str) -> bool {
        self.peek().is_word(word)
    }

    fn eat(&mut self, punctuation: Punctuation) -> bool {
        let found = self.is(punctuation);
        if found {
            self.bump();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.bump();
        }
        found
    }

    /// Consumes a punctuation token. Reports an error if it is missing.
    fn expect(&mut self, punctuation: Punctuation, context: &str) -> ParseResult<()> {
        if self.eat(punctuation) {
            return Ok(());
        }
        let expected = format!("`{}` {context}", punctuation.text());
        Err(self.unexpected(&expected))
    }

    /// Consumes the semicolon at the end of a declaration. If it is missing and the next
    /// declaration starts on a new line, reports only the missing semicolon.
    fn semicolon(&mut self, context: &str) -> ParseResult<()> {
        if self.eat(Punctuation::Semicolon) {
            return Ok(());
        }
        if self.token().starts_line || self.is(Punctuation::BraceClose) {
            self.report(Diagnostic::error(
                self.previous_span().after(),
                format!("expected `;` {context}"),
            ));
            return Ok(());
        }
        Err(self.unexpected(&format!("`;` {context}")))
    }

    /// Consumes a name. Reports an error if there is none.
    fn identifier(&mut self, what: &str) -> ParseResult<Identifier> {
        match self.peek() {
            TokenKind::Identifier(name) if !RESERVED.contains(&&**name) => {
                Ok(Identifier { name: name.clone(), span: self.bump().span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Consumes a string, and joins adjacent strings. Reports an error if there is none.
    fn string(&mut self, what: &str) -> ParseResult<Name> {
        let TokenKind::String { text, .. } = self.peek() else {
            return Err(self.unexpected(what));
        };
        self.bump();
        if !matches!(self.peek(), TokenKind::String { .. }) {
            return Ok(text.clone());
        }
        let mut joined = text.to_string();
        while let TokenKind::String { text, .. } = self.peek() {
            joined.push_str(text);
            self.bump();
        }
        Ok(self.interner.intern(&joined))
    }

    /// Calls `read` at the next nesting level. Reports an error if the nesting limit is exceeded.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> ParseResult<T>) -> ParseResult<T> {
        if self.depth == NESTING_DEPTH_MAX {
            let message = format!("nested more than {NESTING_DEPTH_MAX} levels deep");
            self.report(Diagnostic::error(self.span(), message));
            return Err(ParseError);
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reports that the current token is unexpected.
    fn unexpected(&mut self, expected: &str) -> ParseError {
        let found = match self.peek() {
            TokenKind::End => self.end.to_owned(),
            TokenKind::String { .. } => "a string".to_owned(),
            kind => super::diagnostic::quoted(&kind.to_string()),
        };
        self.report_error(&format!("expected {expected}, found {found}"), "");
        ParseError
    }

    /// Reports an error at the current token.
    fn report_error(&mut self, message: &str, hint: &str) -> ParseError {
        let diagnostic = Diagnostic::error(self.span(), message);
        self.report(if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) })
    }

    fn report(&mut self, diagnostic: Diagnostic) -> ParseError {
        if self.last_error_at != Some(self.at) && !self.previous_is_unterminated() {
            self.last_error_at = Some(self.at);
            self.diagnostics.push(diagnostic);
        }
        ParseError
    }

    /// Parses the elements of a block up to its closing brace, which isn't consumed. Skips the rest
    /// of an element that can't be parsed.
    fn block<T>(&mut self, parts: &mut Vec<T>, mut read: impl FnMut(&mut Self) -> ParseResult<T>) {
        loop {
            while self.eat(Punctuation::Semicolon) {}
            if let TokenKind::Unknown(_) = self.peek() {
                self.unexpected("a declaration");
                while let TokenKind::Unknown(_) = self.peek() {
                    self.bump();
                }
                continue;
            }
            if *self.peek() == TokenKind::End || self.is(Punctuation::BraceClose) {
                return;
            }
            let start = self.at;
            match self.nested(&mut read) {
                Ok(part) => parts.push(part),
                Err(ParseError) => {
                    self.convention = None;
                    self.align = None;
                    self.skip_declaration(start);
                    if self.at == start && !self.is(Punctuation::BraceClose) {
                        self.bump();
                    }
                }
            }
        }
    }

    /// Parses a block of elements in braces.
    fn braced<T>(
        &mut self,
        what: &str,
        read: impl FnMut(&mut Self) -> ParseResult<T>,
    ) -> ParseResult<Vec<T>> {
        let opening = self.span();
        self.expect(Punctuation::BraceOpen, &format!("before what is in {what}"))?;
        let mut parts = Vec::new();
        self.block(&mut parts, read);
        if !self.eat(Punctuation::BraceClose) {
            let message = format!("expected `}}` at the end of {what}");
            self.report(Diagnostic::error(self.span(), message).related(opening, "it opens here"));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests;
