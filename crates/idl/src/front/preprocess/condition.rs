//! Evaluates the conditions of `#if` directives and skips groups.

use super::BuiltInPreprocessor;
use crate::front::ast::TypeName;
use crate::front::constant::{self, Environment, EvaluationError, Integer, IntegerType, Value};
use crate::front::diagnostic::Diagnostic;
use crate::front::parser::Parser;
use crate::front::source::Span;
use crate::front::token::{Name, Punctuation, Token, TokenKind};

/// The reason why skipping a group ended.
pub(super) enum GroupEnd {
    /// A directive of the same `#if`. Contains the directive's name and the position of its `#`.
    Directive(String, Span),
    /// The end of the file.
    EndOfFile,
}

impl BuiltInPreprocessor<'_> {
    /// Evaluates the condition of an `#if`, `#ifdef` or `#ifndef`. Returns `false` for an invalid
    /// condition.
    pub(super) fn condition(&mut self, word: &str, at: Span, rest: &[Token]) -> bool {
        self.skip_cause = None;
        if word == "if" {
            let holds = self.expression(at, rest).unwrap_or(false);
            let mut names = rest.iter().filter_map(|token| match &token.kind {
                TokenKind::Identifier(name) if &**name != "defined" => Some(name),
                _ => None,
            });
            let undefined = names.find(|name| !self.macros.contains_key(*name)).cloned();
            self.skip_cause = undefined.filter(|_| !holds);
            return holds;
        }
        let Some(TokenKind::Identifier(name)) = rest.first().map(|token| &token.kind) else {
            self.report_error(at, format!("expected a name after `#{word}`"));
            return false;
        };
        let is_defined = self.macros.contains_key(name);
        self.skip_cause = (word == "ifdef" && !is_defined).then(|| name.clone());
        is_defined == (word == "ifdef")
    }

    /// Skips a group. Processes no directives in it, except to find the end of nested conditionals.
    pub(super) fn skip_group(&mut self) -> GroupEnd {
        let Some(input) = self.inputs.last_mut() else { return GroupEnd::EndOfFile };
        let skip_cause = self.skip_cause.take();
        let mut depth = 0_usize;
        while let [token, rest @ ..] = &input.tokens[input.at..] {
            if token.kind == TokenKind::End {
                break;
            }
            input.at += 1;
            if let (Some(skip_cause), TokenKind::Identifier(name)) = (&skip_cause, &token.kind) {
                if rest.first().is_some_and(|next| ends_declared_name(&next.kind)) {
                    let names = &mut self.conditional_names;
                    names.entry(name.clone()).or_insert_with(|| skip_cause.clone());
                }
            }
            let is_directive = token.starts_line && token.kind.is(Punctuation::Hash);
            let Some(word) = rest.first().filter(|next| !next.starts_line && is_directive) else {
                continue;
            };
            match word.kind.word() {
                Some("if" | "ifdef" | "ifndef") => depth += 1,
                Some("endif") if depth > 0 => depth -= 1,
                Some(word @ ("elif" | "else" | "endif")) if depth == 0 => {
                    input.at += 1;
                    return GroupEnd::Directive(word.to_owned(), token.span);
                }
                _ => {}
            }
        }
        GroupEnd::EndOfFile
    }

    fn expression(&mut self, at: Span, rest: &[Token]) -> Option<bool> {
        let resolved = self.resolve_defined(rest);
        let mut tokens = self.expand_separately(resolved);
        if tokens.is_empty() {
            self.report_error(at, "`#if` without a condition");
            return None;
        }
        let span = tokens.last().map_or(at, |token| token.span.after());
        tokens.push(Token::end(span));
        let mut parser = Parser::of_line(&tokens, &mut self.loader.interner, self.diagnostics);
        let expression = parser.whole_expression().ok()?;
        match constant::evaluate(&expression, &ConditionEnvironment) {
            Ok(Value::Integer(integer)) => Some(integer.value != 0),
            Err(EvaluationError::Invalid(diagnostic)) => {
                self.diagnostics.push(*diagnostic);
                None
            }
            Ok(_) | Err(EvaluationError::NotConstant) => {
                let message = "this condition isn't an integer constant";
                self.diagnostics.push(Diagnostic::error(expression.span, message));
                None
            }
        }
    }

    /// Replaces each `defined name` and `defined(name)` with 1 or 0.
    fn resolve_defined(&mut self, tokens: &[Token]) -> Vec<Token> {
        let mut resolved = Vec::with_capacity(tokens.len());
        let mut rest = tokens;
        while let [token, after @ ..] = rest {
            rest = after;
            if !token.kind.is_word("defined") {
                resolved.push(token.clone());
                continue;
            }
            let (name, length) = match after {
                [open, name, close, ..]
                    if open.kind.is(Punctuation::ParenOpen)
                        && close.kind.is(Punctuation::ParenClose) =>
                {
                    (name, 3)
                }
                [name, ..] => (name, 1),
                [] => (token, 0),
            };
            rest = &after[length..];
            let is_defined = match &name.kind {
                TokenKind::Identifier(name) if length > 0 => self.macros.contains_key(name),
                _ => {
                    self.report_error(token.span, "expected a name after `defined`");
                    false
                }
            };
            let digit = self.loader.interner.intern(if is_defined { "1" } else { "0" });
            resolved.push(Token { kind: TokenKind::Number(digit), ..token.clone() });
        }
        resolved
    }
}

/// Returns whether the token after a name shows that the name is being declared. After a name that
/// is used as a type, another name or a pointer follows.
fn ends_declared_name(next: &TokenKind) -> bool {
    [
        Punctuation::Semicolon,
        Punctuation::Comma,
        Punctuation::Equal,
        Punctuation::BraceOpen,
        Punctuation::BraceClose,
        Punctuation::Colon,
        Punctuation::BracketOpen,
    ]
    .into_iter()
    .any(|punctuation| next.is(punctuation))
}

/// The environment for evaluating a condition: the value of every name is zero, and no name is a
/// type.
struct ConditionEnvironment;

impl Environment for ConditionEnvironment {
    fn value(&self, _: &Name, _: Span) -> Result<Value, EvaluationError> {
        Ok(Value::Integer(Integer::new(0)))
    }

    fn is_type(&self, _: &str) -> bool {
        false
    }

    fn size(&self, _: &TypeName) -> Result<u64, EvaluationError> {
        Err(EvaluationError::NotConstant)
    }

    fn integer_type(&self, _: &TypeName) -> Option<IntegerType> {
        None
    }
}
