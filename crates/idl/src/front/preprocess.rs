//! The built-in preprocessor: `#include`, `#define`, `#if` and related directives.
//!
//! The preprocessor returns the tokens of one file, including the files that it includes. An
//! imported file is preprocessed separately and doesn't share macros with the importing file.

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
use super::steps;
use super::token::{Name, Punctuation, Token, TokenKind};

/// The result of preprocessing a file.
#[derive(Debug)]
pub(crate) struct PreprocessorOutput {
    /// The tokens of the file and of the files that it includes. The last token marks the end of
    /// the file.
    pub(crate) tokens: Vec<Token>,
    /// The files that were included.
    pub(crate) included: HashSet<FileId>,
    /// Names that the file declares only if a currently undefined macro is defined. Each maps to
    /// that macro.
    pub(crate) conditional_names: HashMap<Name, Name>,
    /// Whether an included file wasn't found. Names may then be missing.
    pub(crate) is_incomplete: bool,
    /// Whether a pragma may change the packing of structs in a way that isn't recorded in the
    /// tokens.
    pub(crate) has_packing: bool,
}

/// Preprocesses a file. The file `definitions`, which contains the predefined macros, is read
/// before it.
pub(crate) fn preprocess(
    loader: &mut Loader,
    definitions: FileId,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> PreprocessorOutput {
    let mut preprocessor = BuiltInPreprocessor {
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
        conditional_names: HashMap::new(),
        skip_cause: None,
        is_incomplete: false,
        packing: Packing::default(),
        has_packing: false,
    };
    if !preprocessor.enter(file) || !preprocessor.enter(definitions) {
        let span = preprocessor.loader.tokens(file)[0].span;
        preprocessor.report_error(span, too_many_tokens());
    }
    preprocessor.run()
}

struct BuiltInPreprocessor<'a> {
    loader: &'a mut Loader,
    diagnostics: &'a mut Diagnostics,
    macros: HashMap<Name, Rc<Macro>>,
    /// The stack of files being read. Each is included by the one before it.
    inputs: Vec<Input>,
    /// The macro expansions being read, innermost last.
    frames: Vec<Frame>,
    /// The names of the macros whose expansions are being read. They aren't expanded again.
    active: HashSet<Name>,
    /// The number of outer frames that are inaccessible, because an argument or condition is being
    /// expanded separately.
    floor: usize,
    /// The nesting depth of macro arguments that are being expanded separately.
    isolation: usize,
    /// The number of tokens produced by macro expansion so far.
    expansion: usize,
    expansion_ended: bool,
    /// The files that contain `#pragma once`.
    once: HashSet<FileId>,
    included: HashSet<FileId>,
    includes: usize,
    /// The number of tokens in all files entered so far. A file counts each time it is entered.
    input_tokens: usize,
    conditional_names: HashMap<Name, Name>,
    /// The undefined macro because of which the next group is skipped.
    skip_cause: Option<Name>,
    is_incomplete: bool,
    packing: Packing,
    /// Whether an unknown pragma may change the packing of structs.
    has_packing: bool,
}

/// Returns the error message if the token limit of a file or of the run is exceeded.
fn too_many_tokens() -> String {
    format!(
        "this file isn't read: the limit of {UNIT_INPUT_TOKENS_MAX} tokens in one file, or of \
         {RUN_INPUT_TOKENS_MAX} in all files, is exceeded"
    )
}

/// A file being read.
struct Input {
    file: FileId,
    tokens: Rc<[Token]>,
    at: usize,
    conditionals: Vec<Conditional>,
}

/// An `#if` whose `#endif` hasn't been read yet.
struct Conditional {
    opened: Span,
    /// Whether one of the groups has been processed, so that the remaining groups are skipped.
    is_taken: bool,
    has_else: bool,
}

impl BuiltInPreprocessor<'_> {
    fn run(mut self) -> PreprocessorOutput {
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
        let Self { included, conditional_names, is_incomplete, .. } = self;
        PreprocessorOutput { tokens, included, conditional_names, is_incomplete, has_packing }
    }

    /// Starts reading a file. Returns whether the token limits of the file and of the run permit
    /// it.
    fn enter(&mut self, file: FileId) -> bool {
        let tokens = self.loader.tokens(file);
        for span in self.loader.take_continued_comments(file) {
            let message = "the `\\` at the end of this comment makes the next line part of it";
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

    /// Returns the next token after macro expansion.
    fn expanded(&mut self) -> Token {
        loop {
            let token = self.next();
            let TokenKind::Identifier(name) = &token.kind else { return token };
            if token.is_inert || self.expansion_ended {
                return token;
            }
            let Some(definition) = self.macros.get(name).cloned() else { return token };
            if let Some(kept) = self.expand(token, &definition) {
                return kept;
            }
        }
    }

    /// Returns the next token of the innermost expansion or file, without expanding it.
    fn next(&mut self) -> Token {
        loop {
            steps::count(1);
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

    /// Returns the next token of the current file. Returns `None` after processing a directive.
    fn next_of_inputs(&mut self) -> Option<Token> {
        let Some(input) = self.inputs.last_mut() else { return Some(self.end()) };
        let token = input.tokens[input.at].clone();
        if token.is_unterminated {
            self.diagnostics.push(lexer::token_error(&token));
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

    /// Returns an end token at the current position.
    fn end(&self) -> Token {
        let span = match self.inputs.last() {
            Some(input) => input.tokens[input.at.min(input.tokens.len() - 1)].span,
            None => Span::new(0, 0),
        };
        Token::end(span)
    }

    fn report_error(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message));
    }
}

#[cfg(test)]
mod tests;
