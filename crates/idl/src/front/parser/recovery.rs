//! Error recovery: decides how many tokens to skip after an error.

use super::Parser;
use crate::front::token::{Punctuation, TokenKind};

/// Words that start a declaration when they are first on a line.
const STARTERS: &[&str] = &[
    "apicontract",
    "coclass",
    "const",
    "cpp_quote",
    "declare",
    "delegate",
    "dispinterface",
    "import",
    "importlib",
    "interface",
    "library",
    "namespace",
    "runtimeclass",
    "typedef",
];

impl Parser<'_> {
    /// Returns whether the previous token is an unterminated string. Such a string has probably
    /// swallowed the tokens that seem to be missing.
    pub(super) fn previous_is_unterminated(&self) -> bool {
        self.at > 0 && self.tokens[self.at - 1].is_unterminated
    }

    /// Skips the rest of the declaration that started at token index `start`. Stops after its `;`
    /// or closing brace, before a token that can only start the next declaration, or at the end of
    /// the block.
    pub(super) fn skip_declaration(&mut self, start: usize) {
        let mut braces = 0_usize;
        let mut parens = self.open_parens(start);
        loop {
            let starts = self.at > start && self.token().starts_line && braces == 0;
            match self.peek() {
                TokenKind::End => return,
                TokenKind::Identifier(name) if starts && STARTERS.contains(&&**name) => return,
                kind if kind.is(Punctuation::BracketOpen) && starts && parens == 0 => return,
                kind if kind.is(Punctuation::ParenOpen) => parens += 1,
                kind if kind.is(Punctuation::ParenClose) => parens = parens.saturating_sub(1),
                kind if kind.is(Punctuation::BraceOpen) => braces += 1,
                kind if kind.is(Punctuation::BraceClose) && braces == 0 => return,
                kind if kind.is(Punctuation::BraceClose) => {
                    braces -= 1;
                    let next = &self.tokens[self.at + 1];
                    let word = next.kind.word().filter(|word| !STARTERS.contains(word));
                    let names = word.is_some() && !next.starts_line;
                    if braces == 0 && !names {
                        self.bump();
                        self.eat(Punctuation::Semicolon);
                        return;
                    }
                }
                kind if kind.is(Punctuation::Semicolon) && braces == 0 => {
                    self.bump();
                    return;
                }
                _ => {}
            }
            self.bump();
        }
    }

    /// Returns the number of parentheses that have been opened since a token index and not closed.
    fn open_parens(&self, since: usize) -> usize {
        self.tokens[since..self.at].iter().fold(0, |open: usize, token| match token.kind {
            TokenKind::Punctuation(Punctuation::ParenOpen) => open + 1,
            TokenKind::Punctuation(Punctuation::ParenClose) => open.saturating_sub(1),
            _ => open,
        })
    }

    /// Skips to one of the given punctuation tokens that isn't in nested brackets, or to the end of
    /// the declaration.
    pub(super) fn skip_to(&mut self, ends: &[Punctuation]) {
        let mut brackets = 0_usize;
        loop {
            let TokenKind::Punctuation(punctuation) = *self.peek() else {
                if *self.peek() == TokenKind::End {
                    return;
                }
                self.bump();
                continue;
            };
            if brackets == 0 && ends.contains(&punctuation) {
                return;
            }
            match punctuation {
                Punctuation::Semicolon | Punctuation::BraceOpen | Punctuation::BraceClose => return,
                Punctuation::ParenOpen | Punctuation::BracketOpen => brackets += 1,
                Punctuation::ParenClose | Punctuation::BracketClose => {
                    brackets = brackets.saturating_sub(1);
                }
                _ => {}
            }
            self.bump();
        }
    }
}
