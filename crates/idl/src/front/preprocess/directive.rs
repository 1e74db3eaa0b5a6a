//! Processes preprocessor directives, which are lines that start with `#`.

use super::condition::GroupEnd;
use super::macros::Macro;
use super::{BuiltInPreprocessor, Conditional, too_many_tokens};
use crate::front::diagnostic::{Diagnostic, did_you_mean, quoted};
use crate::front::lexer;
use crate::front::limits::{INCLUDE_DEPTH_MAX, INCLUDES_MAX};
use crate::front::source::Span;
use crate::front::token::{Punctuation, Token, TokenKind};

const DIRECTIVES: &[&str] = &[
    "#define", "#undef", "#include", "#if", "#ifdef", "#ifndef", "#elif", "#else", "#endif",
    "#error", "#warning", "#pragma", "#line",
];

/// Pragmas that don't affect the layout of structs.
const HARMLESS_PRAGMAS: &[&str] =
    &["once", "warning", "region", "endregion", "message", "winrt", "comment", "makedep"];

impl BuiltInPreprocessor<'_> {
    /// Processes a directive. Its `#` has already been read.
    pub(super) fn directive(&mut self, hash: Span) {
        let line = self.line();
        let Some((first, rest)) = line.split_first() else { return };
        let word = first.kind.word().unwrap_or_default();
        match word {
            "define" => self.define(first.span, rest),
            "undef" => {
                if let Some(TokenKind::Identifier(name)) = rest.first().map(|token| &token.kind) {
                    self.macros.remove(name);
                } else {
                    self.report_error(first.span, "expected a name after `#undef`");
                }
            }
            "include" | "import" => self.include(first.span, rest),
            "if" | "ifdef" | "ifndef" => {
                let holds = self.condition(word, first.span, rest);
                self.open(hash, holds);
            }
            "elif" | "else" | "endif" => self.next_group(word, hash),
            "error" => {
                let message = format!("#error {}", self.text_of(rest));
                self.report_error(hash.to(first.span), message.trim_end());
            }
            "warning" => {
                let message = format!("#warning {}", self.text_of(rest));
                self.diagnostics.push(Diagnostic::warning(hash.to(first.span), message.trim_end()));
            }
            "pragma" => self.pragma(rest),
            "line" => {}
            // `# 12 "file"` is a line marker of another preprocessor.
            _ if matches!(first.kind, TokenKind::Number(_)) => {}
            _ => {
                let message = format!("unknown directive {}", quoted(&format!("#{}", first.kind)));
                let hint = did_you_mean(&format!("#{word}"), DIRECTIVES.iter().copied());
                self.diagnostics
                    .push(Diagnostic::error(hash.to(first.span), message).hint_if(hint));
            }
        }
    }

    /// Consumes the rest of the current line.
    pub(super) fn line(&mut self) -> Vec<Token> {
        let Some(input) = self.inputs.last_mut() else { return Vec::new() };
        let rest = &input.tokens[input.at..];
        let length = rest
            .iter()
            .position(|token| token.starts_line || token.kind == TokenKind::End)
            .unwrap_or(rest.len());
        let line = rest[..length].to_vec();
        input.at += length;
        line
    }

    fn define(&mut self, at: Span, rest: &[Token]) {
        for token in rest.iter().filter(|token| token.is_unterminated) {
            self.diagnostics.push(lexer::token_error(token));
        }
        match Macro::read(rest) {
            Ok((name, definition)) => {
                self.macros.insert(name, definition.into());
            }
            Err(message) => {
                let span = rest.first().map_or(at, |token| token.span);
                self.report_error(span, message);
            }
        }
    }

    fn pragma(&mut self, rest: &[Token]) {
        let is_once = rest.first().is_some_and(|token| token.kind.is_word("once"));
        if let (true, Some(input)) = (is_once, self.inputs.last()) {
            self.once.insert(input.file);
        }
        match rest {
            [first, arguments @ ..] if first.kind.is_word("pack") => {
                let arguments = self.text_of(arguments);
                return self.packing.pragma(&arguments);
            }
            _ => {}
        }
        let is_harmless = |word: &&str| rest.first().is_some_and(|token| token.kind.is_word(word));
        self.has_packing |= !HARMLESS_PRAGMAS.iter().any(is_harmless);
    }

    fn include(&mut self, at: Span, rest: &[Token]) {
        let Some((name, span)) = self.included_name(rest) else {
            self.report_error(at, "expected `\"file\"` or `<file>` after `#include`");
            return;
        };
        let Some(from) = self.inputs.last().map(|input| input.file) else { return };
        if self.inputs.len() > INCLUDE_DEPTH_MAX {
            let message = format!("includes nested more than {INCLUDE_DEPTH_MAX} levels deep");
            self.diagnostics.push(
                Diagnostic::error(span, message)
                    .hint("a file that includes itself needs `#ifndef` or `#pragma once`"),
            );
            return;
        }
        self.includes += 1;
        if self.includes > INCLUDES_MAX {
            if self.includes == INCLUDES_MAX + 1 {
                self.report_error(span, format!("more than {INCLUDES_MAX} files are included"));
            }
            return;
        }
        match self.loader.find(&name, from) {
            Ok(file) if self.once.contains(&file) => {}
            Ok(file) => {
                self.included.insert(file);
                if !self.enter(file) && !std::mem::replace(&mut self.is_incomplete, true) {
                    self.report_error(span, too_many_tokens());
                }
            }
            Err(error) => {
                self.is_incomplete = true;
                self.diagnostics.push(error.at(span, &name));
            }
        }
    }

    /// Returns the file name in `"file"` or `<file>`. The name may result from macro expansion.
    fn included_name(&mut self, rest: &[Token]) -> Option<(String, Span)> {
        let first = rest.first()?;
        let name = match &first.kind {
            TokenKind::String { text, .. } => text.to_string(),
            kind if kind.is(Punctuation::Less) => {
                let close = rest.iter().position(|token| token.kind.is(Punctuation::Greater))?;
                self.text_of(&rest[1..close])
            }
            TokenKind::Identifier(_) => {
                match self.expand_separately(rest.to_vec()).into_iter().next()?.kind {
                    TokenKind::String { text, .. } => text.to_string(),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some((name, rest.iter().fold(first.span, |span, token| span.to(token.span))))
    }

    /// Formats tokens as source text, for a header name.
    fn text_of(&self, tokens: &[Token]) -> String {
        let mut text = String::new();
        for token in tokens {
            if token.spaced && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&token.kind.to_string());
        }
        text
    }

    fn open(&mut self, opened: Span, holds: bool) {
        let conditional = Conditional { opened, is_taken: holds, has_else: false };
        if let Some(input) = self.inputs.last_mut() {
            input.conditionals.push(conditional);
        }
        if !holds {
            self.skip_groups();
        }
    }

    /// Skips groups of the innermost `#if` until a group must be processed or the `#endif` is
    /// reached.
    fn skip_groups(&mut self) {
        while let GroupEnd::Directive(word, hash) = self.skip_group() {
            let line = self.line();
            let holds = word == "elif" && {
                let already = self.conditional().is_some_and(|conditional| conditional.is_taken);
                !already && self.condition("if", hash, &line)
            };
            if self.start_group(&word, hash, holds) {
                return;
            }
        }
    }

    /// Ends the current group, at an `#elif`, `#else` or `#endif`.
    fn next_group(&mut self, word: &str, hash: Span) {
        if self.conditional().is_none() {
            self.report_error(hash, format!("`#{word}` without an `#if`"));
        } else if !self.start_group(word, hash, false) {
            self.skip_groups();
        }
    }

    /// Processes an `#elif`, `#else` or `#endif` of the innermost `#if`. Returns whether the
    /// following tokens must be processed rather than skipped.
    fn start_group(&mut self, word: &str, hash: Span, holds: bool) -> bool {
        let Some(conditional) = self.conditional() else { return true };
        if word == "endif" {
            if let Some(input) = self.inputs.last_mut() {
                input.conditionals.pop();
            }
            return true;
        }
        let is_late = conditional.has_else;
        conditional.has_else |= word == "else";
        let reads = !conditional.is_taken && (word == "else" || holds);
        conditional.is_taken |= reads;
        if is_late {
            let opened = conditional.opened;
            self.diagnostics.push(
                Diagnostic::error(hash, format!("`#{word}` after `#else`"))
                    .related(opened, "of this `#if`"),
            );
        }
        reads
    }

    fn conditional(&mut self) -> Option<&mut Conditional> {
        self.inputs.last_mut()?.conditionals.last_mut()
    }
}
