//! From tokens to the syntax tree.
//!
//! One function reads one production. A function that can't go on has said why and returns
//! [`Reported`]; whoever reads a list of things then skips the rest of that thing and goes on
//! with the next. So every error of a file is found in one run, and each token is passed once.

mod attributes;
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
use super::token::{Name, Names, Punctuation, Token, TokenKind};
use super::work;

/// What was wrong is among the diagnostics already.
#[derive(Debug)]
pub(crate) struct Reported;

/// What was read, or nothing that makes sense.
pub(crate) type Parsed<T> = Result<T, Reported>;

/// Words that are never the name of anything.
const RESERVED: &[&str] =
    &["const", "cpp_quote", "enum", "import", "interface", "struct", "typedef", "union"];

/// Reads the declarations of a file. It may lack macros: then nothing that looks like a macro is a
/// mistake. Returns as well whether it calls macros that aren't defined.
pub(crate) fn parse(
    tokens: &[Token],
    names: &mut Names,
    diagnostics: &mut Diagnostics,
    lacks_macros: bool,
) -> (Vec<Item>, bool) {
    let mut parser = Parser::new(tokens, names, diagnostics);
    parser.lacks_macros = lacks_macros;
    let items = parser.file();
    let calls_undefined = !parser.undefined_macros.is_empty();
    (items, calls_undefined)
}

/// A place in the tokens, and what reading them has come to.
pub(crate) struct Parser<'t> {
    /// The last one is the end of the file.
    tokens: &'t [Token],
    at: usize,
    names: &'t mut Names,
    diagnostics: &'t mut Diagnostics,
    depth: usize,
    /// Of the expression that is being read.
    operators: usize,
    /// Of the names of the namespaces around, together.
    namespace_parts: usize,
    namespace_bytes: usize,
    /// The alignment that a `__declspec` before a type asks for.
    align: Option<Attribute>,
    /// The calling convention that the next parameter list is for.
    convention: Option<Identifier>,
    /// Of the `>>` that stands here, the first half is taken: it closes type arguments.
    half_taken: bool,
    /// Where the last complaint was: one place gets one.
    complained_at: Option<usize>,
    /// What ends the tokens, for a message.
    end: &'static str,
    /// A file that may define macros isn't there, which has been said.
    lacks_macros: bool,
    /// The macros that are called and that nothing defines.
    undefined_macros: HashSet<Name>,
}

impl<'t> Parser<'t> {
    pub(crate) fn new(
        tokens: &'t [Token],
        names: &'t mut Names,
        diagnostics: &'t mut Diagnostics,
    ) -> Self {
        Self {
            tokens,
            at: 0,
            names,
            diagnostics,
            depth: 0,
            operators: 0,
            namespace_parts: 0,
            namespace_bytes: 0,
            align: None,
            convention: None,
            half_taken: false,
            complained_at: None,
            end: "the end of the file",
            lacks_macros: false,
            undefined_macros: HashSet::new(),
        }
    }

    /// A parser of a directive's line.
    pub(crate) fn of_line(
        tokens: &'t [Token],
        names: &'t mut Names,
        diagnostics: &'t mut Diagnostics,
    ) -> Self {
        Self { end: "the end of the line", ..Self::new(tokens, names, diagnostics) }
    }

    /// All declarations up to the end of the file.
    fn file(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            self.items(&mut items);
            if *self.peek() == TokenKind::End {
                return items;
            }
            self.complain("this `}` closes nothing", "");
            self.bump();
            self.eat(Punctuation::Semicolon);
        }
    }

    fn token(&self) -> &'t Token {
        work::count(1);
        &self.tokens[self.at]
    }

    fn peek(&self) -> &'t TokenKind {
        &self.token().kind
    }

    /// The token so many places on, or the end of the file.
    fn peek_at(&self, offset: usize) -> &'t TokenKind {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + offset).min(last)].kind
    }

    fn span(&self) -> Span {
        self.token().span
    }

    /// Where the token before this one stands.
    fn previous_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    /// From a place up to the last token read.
    fn since(&self, start: Span) -> Span {
        start.to(self.previous_span())
    }

    fn bump(&mut self) -> &'t Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        self.half_taken = false;
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

    /// Reads a punctuation that must stand here.
    fn expect(&mut self, punctuation: Punctuation, place: &str) -> Parsed<()> {
        if self.eat(punctuation) {
            return Ok(());
        }
        let expected = format!("`{}` {place}", punctuation.text());
        Err(self.unexpected(&expected))
    }

    /// Reads the semicolon that ends a declaration. Where the next declaration has begun on a
    /// line of its own, only the semicolon is missing.
    fn semicolon(&mut self, place: &str) -> Parsed<()> {
        if self.eat(Punctuation::Semicolon) {
            return Ok(());
        }
        if self.token().starts_line || self.is(Punctuation::BraceClose) {
            self.report(Diagnostic::error(
                self.previous_span().after(),
                format!("expected `;` {place}"),
            ));
            return Ok(());
        }
        Err(self.unexpected(&format!("`;` {place}")))
    }

    /// Reads a name that must stand here.
    fn identifier(&mut self, what: &str) -> Parsed<Identifier> {
        match self.peek() {
            TokenKind::Identifier(name) if !RESERVED.contains(&&**name) => {
                Ok(Identifier { name: name.clone(), span: self.bump().span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Reads a string that must stand here; strings that follow each other are one.
    fn string(&mut self, what: &str) -> Parsed<Name> {
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
        Ok(self.names.intern(&joined))
    }

    /// Reads one level deeper, if there is one.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == NESTING_DEPTH_MAX {
            let message = format!("nested more than {NESTING_DEPTH_MAX} levels deep");
            self.report(Diagnostic::error(self.span(), message));
            return Err(Reported);
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Says what should have stood here instead.
    fn unexpected(&mut self, expected: &str) -> Reported {
        let found = match self.peek() {
            TokenKind::End => self.end.to_owned(),
            TokenKind::String { .. } => "a string".to_owned(),
            kind => super::diagnostic::quoted(&kind.to_string()),
        };
        self.complain(&format!("expected {expected}, found {found}"), "");
        Reported
    }

    /// Says what is wrong with the token that stands here.
    fn complain(&mut self, message: &str, hint: &str) -> Reported {
        let diagnostic = Diagnostic::error(self.span(), message);
        self.report(if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) })
    }

    fn report(&mut self, diagnostic: Diagnostic) -> Reported {
        if self.complained_at != Some(self.at) && !self.previous_is_flawed() {
            self.complained_at = Some(self.at);
            self.diagnostics.push(diagnostic);
        }
        Reported
    }

    /// Reads the parts of a block up to its closing brace, which it leaves: of a part that can't
    /// be read, the rest is skipped.
    fn block<T>(&mut self, parts: &mut Vec<T>, mut read: impl FnMut(&mut Self) -> Parsed<T>) {
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
                Err(Reported) => {
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

    /// Reads `{ parts }`.
    fn braced<T>(
        &mut self,
        what: &str,
        read: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
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
