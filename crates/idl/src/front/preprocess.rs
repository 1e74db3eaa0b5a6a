//! The built-in preprocessor: `#include`, `#define`, `#if` and what belongs to them.
//!
//! It passes on the tokens of one file with all that it includes. An imported file is another
//! matter: it is preprocessed by itself, and neither sees the other's macros.

mod condition;
mod directive;
pub(crate) mod external;
mod macros;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use self::macros::{Frame, Macro};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::lexer;
use super::limits::{FILE_TOKENS_MAX, RUN_INPUT_TOKENS_MAX, UNIT_INPUT_TOKENS_MAX};
use super::loader::Loader;
use super::packing::Packing;
use super::source::{FileId, Span};
use super::token::{Name, Punctuation, Token, TokenKind};
use super::work;

/// What a file amounts to.
#[derive(Debug)]
pub(crate) struct Preprocessed {
    /// Its tokens, with those of all that it includes; the last one is its end.
    pub(crate) tokens: Vec<Token>,
    /// The files that it includes.
    pub(crate) included: HashSet<FileId>,
    /// Names that are declared only where a macro is defined, which isn't, with that macro.
    pub(crate) hidden: HashMap<Name, Name>,
    /// A file that it includes wasn't found, so names may be missing.
    pub(crate) is_incomplete: bool,
    /// A pragma that may change how structs are packed, and in this file not only those whose tokens
    /// say so.
    pub(crate) has_packing: bool,
}

/// Preprocesses a file. The definitions are a file of their own, read first.
pub(crate) fn preprocess(
    loader: &mut Loader,
    definitions: FileId,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> Preprocessed {
    let mut preprocessor = Preprocessor {
        loader,
        diagnostics,
        macros: HashMap::new(),
        inputs: Vec::new(),
        frames: Vec::new(),
        active: HashSet::new(),
        floor: 0,
        isolation: 0,
        expansion: 0,
        expansion_ended: false,
        once: HashSet::new(),
        included: HashSet::new(),
        includes: 0,
        input_tokens: 0,
        hidden: HashMap::new(),
        hiding: None,
        is_incomplete: false,
        packing: Packing::default(),
        has_packing: false,
    };
    if !preprocessor.enter(file) || !preprocessor.enter(definitions) {
        let span = preprocessor.loader.tokens(file)[0].span;
        preprocessor.complain(span, TOO_MANY_TOKENS);
    }
    preprocessor.run()
}

struct Preprocessor<'a> {
    loader: &'a mut Loader,
    diagnostics: &'a mut Diagnostics,
    macros: HashMap<Name, Rc<Macro>>,
    /// The file being read, and those that include it.
    inputs: Vec<Input>,
    /// Expansions being read: the innermost is the last.
    frames: Vec<Frame>,
    /// The macros whose expansions these are.
    active: HashSet<Name>,
    /// Frames below this one aren't read while an argument or a condition is expanded alone.
    floor: usize,
    /// How many expansions of arguments are under way inside one another.
    isolation: usize,
    /// How many tokens expansions have made.
    expansion: usize,
    expansion_ended: bool,
    /// Files with `#pragma once`.
    once: HashSet<FileId>,
    included: HashSet<FileId>,
    includes: usize,
    /// How many tokens the files entered so far have, each as often as it was entered.
    input_tokens: usize,
    hidden: HashMap<Name, Name>,
    /// The undefined macro because of which the next group is skipped.
    hiding: Option<Name>,
    is_incomplete: bool,
    packing: Packing,
    /// A pragma that isn't known may pack structs.
    has_packing: bool,
}

/// The message about a file that would exceed the limit of tokens.
const TOO_MANY_TOKENS: &str = "this file isn't read: the files of the run have too many tokens";

/// A file being read.
struct Input {
    file: FileId,
    tokens: Rc<[Token]>,
    at: usize,
    conditionals: Vec<Conditional>,
}

/// An `#if` whose `#endif` is still to come.
struct Conditional {
    opened: Span,
    /// A group of it has been read: no other one will be.
    is_taken: bool,
    has_else: bool,
}

impl Preprocessor<'_> {
    fn run(mut self) -> Preprocessed {
        let mut tokens = Vec::new();
        loop {
            let mut token = self.expanded();
            token.pack = self.packing.limit();
            let ended = token.kind == TokenKind::End;
            if !ended && tokens.len() == FILE_TOKENS_MAX {
                let message = format!("file with more than {FILE_TOKENS_MAX} tokens");
                self.diagnostics.push(Diagnostic::error(token.span, message));
                tokens.push(Token::end(token.span));
                break;
            }
            tokens.push(token);
            if ended {
                break;
            }
        }
        let has_packing = self.has_packing || self.packing.spreads();
        let Self { included, hidden, is_incomplete, .. } = self;
        Preprocessed { tokens, included, hidden, is_incomplete, has_packing }
    }

    /// Starts reading a file. Returns whether the limits of the run allow it.
    fn enter(&mut self, file: FileId) -> bool {
        let tokens = self.loader.tokens(file);
        for span in self.loader.take_swallowed(file) {
            let message = "a comment that ends with `\\` takes the next line with it";
            let warning = Diagnostic::warning(span, message);
            self.diagnostics.push(warning.hint("end the comment with another character"));
        }
        self.input_tokens += tokens.len();
        self.loader.input_tokens += tokens.len();
        if self.input_tokens > UNIT_INPUT_TOKENS_MAX
            || self.loader.input_tokens > RUN_INPUT_TOKENS_MAX
        {
            return false;
        }
        self.inputs.push(Input { file, tokens, at: 0, conditionals: Vec::new() });
        true
    }

    /// The next token after expansion.
    fn expanded(&mut self) -> Token {
        loop {
            let token = self.next();
            let TokenKind::Identifier(name) = &token.kind else { return token };
            if token.inert || self.expansion_ended {
                return token;
            }
            let Some(definition) = self.macros.get(name).cloned() else { return token };
            if let Some(kept) = self.expand(token, &definition) {
                return kept;
            }
        }
    }

    /// The next token before expansion: of an expansion, or of a file.
    fn next(&mut self) -> Token {
        loop {
            work::count(1);
            if let Some(token) = self.next_of_frames() {
                return token;
            }
            if self.isolation > 0 {
                return self.end();
            }
            let Some(token) = self.next_of_inputs() else { continue };
            return token;
        }
    }

    /// The next token of a file, or `None` if a directive stood there.
    fn next_of_inputs(&mut self) -> Option<Token> {
        let Some(input) = self.inputs.last_mut() else { return Some(self.end()) };
        let token = input.tokens[input.at].clone();
        if token.flawed {
            self.diagnostics.push(lexer::flaw(&token));
        }
        if token.kind == TokenKind::End {
            for conditional in input.conditionals.drain(..) {
                self.diagnostics
                    .push(Diagnostic::error(conditional.opened, "`#if` without an `#endif`"));
            }
            if self.inputs.len() > 1 {
                self.inputs.pop();
                return None;
            }
            return Some(token);
        }
        input.at += 1;
        if token.starts_line && token.kind.is(Punctuation::Hash) {
            self.directive(token.span);
            return None;
        }
        Some(token)
    }

    /// The end of what can be read here.
    fn end(&self) -> Token {
        let span = match self.inputs.last() {
            Some(input) => input.tokens[input.at.min(input.tokens.len() - 1)].span,
            None => Span::new(0, 0),
        };
        Token::end(span)
    }

    fn complain(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message));
    }
}

#[cfg(test)]
mod tests;
