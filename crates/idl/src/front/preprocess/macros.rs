//! Macros: their definition with `#define` and their expansion.

use std::rc::Rc;

use super::BuiltInPreprocessor;
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::lexer;
use crate::front::limits::{EXPANSION_TOKENS_MAX, MACRO_DEPTH_MAX, MACRO_PARAMETERS_MAX};
use crate::front::source::Span;
use crate::front::steps;
use crate::front::token::{Name, Punctuation, Token, TokenKind};

/// The definition of a macro.
#[derive(Debug)]
pub(super) struct Macro {
    /// The names of the parameters; `None` for an object-like macro.
    parameters: Option<Vec<Name>>,
    is_variadic: bool,
    body: Vec<Token>,
}

/// A macro expansion whose tokens are being read.
pub(super) struct Frame {
    tokens: Vec<Token>,
    at: usize,
    /// The expanded macro. Its name isn't expanded again in the expansion.
    of: Option<Name>,
}

impl Macro {
    /// Parses the definition after `#define`.
    pub(super) fn read(line: &[Token]) -> Result<(Name, Macro), &'static str> {
        let [name, rest @ ..] = line else { return Err("expected a name after `#define`") };
        let TokenKind::Identifier(name) = &name.kind else {
            return Err("expected a name after `#define`");
        };
        let takes_arguments = rest
            .first()
            .is_some_and(|token| token.kind.is(Punctuation::ParenOpen) && !token.spaced);
        if !takes_arguments {
            let body = rest.to_vec();
            return Ok((name.clone(), Macro { parameters: None, is_variadic: false, body }));
        }
        let close = rest
            .iter()
            .position(|token| token.kind.is(Punctuation::ParenClose))
            .ok_or("expected `)` after the parameters of a macro")?;
        if close > 2 * MACRO_PARAMETERS_MAX {
            const { assert!(MACRO_PARAMETERS_MAX == 256, "the message names the limit") };
            return Err("macro with more than 256 parameters");
        }
        let mut parameters = Vec::new();
        let mut is_variadic = false;
        for (index, token) in rest[1..close].iter().enumerate() {
            match &token.kind {
                TokenKind::Identifier(name) if index % 2 == 0 => parameters.push(name.clone()),
                kind if kind.is(Punctuation::Ellipsis) && index % 2 == 0 => is_variadic = true,
                kind if kind.is(Punctuation::Comma) && index % 2 == 1 => {}
                _ => return Err("expected names with commas between as the parameters of a macro"),
            }
        }
        let body = rest[close + 1..].to_vec();
        Ok((name.clone(), Macro { parameters: Some(parameters), is_variadic, body }))
    }
}

impl BuiltInPreprocessor<'_> {
    pub(super) fn next_of_frames(&mut self) -> Option<Token> {
        while self.frames.len() > self.floor {
            steps::count(1);
            let frame = self.frames.last_mut()?;
            if let Some(token) = frame.tokens.get(frame.at) {
                frame.at += 1;
                return Some(token.clone());
            }
            if let Some(name) = self.frames.pop().and_then(|frame| frame.of) {
                self.active.remove(&name);
            }
        }
        None
    }

    /// Expands a macro. Returns the name unexpanded if it is in the macro's own expansion, or if
    /// required arguments are missing.
    pub(super) fn expand(&mut self, name: Token, definition: &Rc<Macro>) -> Option<Token> {
        let TokenKind::Identifier(of) = &name.kind else { return Some(name) };
        if self.active.contains(of) {
            return Some(Token { is_inert: true, ..name });
        }
        let of = of.clone();
        let tokens = match &definition.parameters {
            None => {
                if !self.count(definition.body.len().max(1), name.span) {
                    return Some(name);
                }
                self.with_position(definition.body.iter(), &name)
            }
            Some(parameters) => {
                let next = self.next();
                if !next.kind.is(Punctuation::ParenOpen) {
                    self.unread(next);
                    return Some(name);
                }
                let arguments = self.arguments(&name)?;
                let arguments = self.bind_arguments(arguments, parameters, definition, &name)?;
                self.substitute(definition, parameters, &arguments, &name)?
            }
        };
        self.active.insert(of.clone());
        self.frames.push(Frame { tokens, at: 0, of: Some(of) });
        None
    }

    /// Fully expands a list of tokens, independently of the tokens that follow. Used for macro
    /// arguments and conditions.
    pub(super) fn expand_separately(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        if self.isolation == MACRO_DEPTH_MAX {
            if let Some(first) = tokens.first() {
                let message = format!("macro calls nested more than {MACRO_DEPTH_MAX} levels deep");
                self.end_expansion(first.span, message);
            }
            return tokens;
        }
        let floor = std::mem::replace(&mut self.floor, self.frames.len());
        self.isolation += 1;
        self.frames.push(Frame { tokens, at: 0, of: None });
        let mut expanded = Vec::new();
        loop {
            let token = self.expanded();
            if token.kind == TokenKind::End {
                break;
            }
            expanded.push(token);
        }
        self.isolation -= 1;
        self.floor = floor;
        expanded
    }

    fn unread(&mut self, token: Token) {
        if token.kind != TokenKind::End {
            self.frames.push(Frame { tokens: vec![token], at: 0, of: None });
        }
    }

    /// Parses the arguments of a macro call up to its closing parenthesis.
    fn arguments(&mut self, name: &Token) -> Option<Vec<Vec<Token>>> {
        let mut arguments = vec![Vec::new()];
        let mut depth = 0_usize;
        loop {
            let token = self.next();
            match &token.kind {
                TokenKind::End => {
                    let message = format!("call of macro {} without a `)`", name.kind);
                    self.report_error(name.span, message);
                    return None;
                }
                kind if kind.is(Punctuation::ParenOpen) => depth += 1,
                kind if kind.is(Punctuation::ParenClose) && depth == 0 => return Some(arguments),
                kind if kind.is(Punctuation::ParenClose) => depth -= 1,
                kind if kind.is(Punctuation::Comma) && depth == 0 => {
                    arguments.push(Vec::new());
                    continue;
                }
                _ => {}
            }
            if let Some(last) = arguments.last_mut() {
                last.push(token);
            }
        }
    }

    /// Assigns the arguments of a call to the macro's parameters. The last one is for `...`, if the
    /// macro is variadic.
    fn bind_arguments(
        &mut self,
        mut arguments: Vec<Vec<Token>>,
        parameters: &[Name],
        definition: &Macro,
        name: &Token,
    ) -> Option<Vec<Vec<Token>>> {
        let count = arguments.len();
        if definition.is_variadic {
            let rest = arguments.split_off(parameters.len().min(count));
            arguments.resize(parameters.len(), Vec::new());
            let comma = Token { kind: TokenKind::Punctuation(Punctuation::Comma), ..name.clone() };
            arguments.push(rest.join(&comma));
            return Some(arguments);
        }
        if parameters.is_empty() && count == 1 && arguments[0].is_empty() {
            return Some(Vec::new());
        }
        if parameters.len() != count {
            let message = format!(
                "macro {} takes {} arguments, but gets {count}",
                quoted(&name.kind.to_string()),
                parameters.len(),
            );
            self.report_error(name.span, message);
            return None;
        }
        Some(arguments)
    }

    /// Returns the body of a macro with its parameters replaced.
    fn substitute(
        &mut self,
        definition: &Macro,
        parameters: &[Name],
        arguments: &[Vec<Token>],
        name: &Token,
    ) -> Option<Vec<Token>> {
        let parameter = |kind: &TokenKind| match kind {
            TokenKind::Identifier(word) if definition.is_variadic && &**word == "__VA_ARGS__" => {
                Some(parameters.len())
            }
            TokenKind::Identifier(word) => {
                parameters.iter().position(|parameter| parameter == word)
            }
            _ => None,
        };
        let mut expanded: Vec<Option<Vec<Token>>> = vec![None; arguments.len()];
        let mut tokens: Vec<Token> = Vec::new();
        let mut at = 0;
        while let Some(token) = definition.body.get(at) {
            let next = definition.body.get(at + 1);
            let joins =
                |token: Option<&Token>| token.is_some_and(|t| t.kind.is(Punctuation::HashHash));
            let added = match (parameter(&token.kind), next.map(|next| parameter(&next.kind))) {
                (None, Some(Some(index))) if token.kind.is(Punctuation::Hash) => {
                    at += 1;
                    vec![self.stringize(&arguments[index], name)]
                }
                (Some(index), _)
                    if joins(next) || (at > 0 && joins(definition.body.get(at - 1))) =>
                {
                    arguments[index].clone()
                }
                (Some(index), _) => {
                    if expanded[index].is_none() {
                        expanded[index] = Some(self.expand_separately(arguments[index].clone()));
                    }
                    expanded[index].clone().unwrap_or_default()
                }
                (None, _) => vec![token.clone()],
            };
            if !self.count(added.len().max(1), name.span) {
                return None;
            }
            tokens.extend(added);
            at += 1;
        }
        let tokens = self.paste_tokens(tokens);
        Some(self.with_position(tokens.iter(), name))
    }

    /// Joins the tokens before and after each `##`.
    fn paste_tokens(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        let mut joined: Vec<Token> = Vec::with_capacity(tokens.len());
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            if !token.kind.is(Punctuation::HashHash) {
                joined.push(token);
                continue;
            }
            let Some(left) = joined.pop() else { continue };
            let right = tokens.next().map(|right| right.kind.to_string()).unwrap_or_default();
            let text = format!("{}{right}", left.kind);
            let read = lexer::lex(&text, 0, &mut self.loader.interner);
            let ended = read.len().saturating_sub(1);
            joined.extend(read.into_iter().take(ended));
        }
        joined
    }

    /// Converts an argument to a string literal, for the operator `#`.
    fn stringize(&mut self, argument: &[Token], name: &Token) -> Token {
        let mut text = String::new();
        for token in argument {
            if token.spaced && !text.is_empty() {
                text.push(' ');
            }
            let written = token.kind.to_string();
            match token.kind {
                TokenKind::String { .. } | TokenKind::Character { .. } => {
                    text.push_str(&written.replace('\\', "\\\\").replace('"', "\\\""));
                }
                _ => text.push_str(&written),
            }
        }
        let text = self.loader.interner.intern(&text);
        Token { kind: TokenKind::String { text, wide: false }, ..name.clone() }
    }

    /// Copies tokens from a macro's body, and sets their positions to that of the macro call.
    fn with_position<'t>(
        &self,
        tokens: impl Iterator<Item = &'t Token>,
        name: &Token,
    ) -> Vec<Token> {
        let place = |(index, token): (usize, &Token)| Token {
            span: name.span,
            starts_line: index == 0 && name.starts_line,
            ..token.clone()
        };
        tokens.enumerate().map(place).collect()
    }

    /// Counts the tokens that an expansion produces. Returns `false` if the limit is exceeded.
    fn count(&mut self, tokens: usize, span: Span) -> bool {
        self.expansion += tokens;
        if self.expansion <= EXPANSION_TOKENS_MAX {
            return true;
        }
        let message = format!("macros expand to more than {EXPANSION_TOKENS_MAX} tokens");
        self.end_expansion(span, message);
        false
    }

    /// Reports an error and disables macro expansion for the rest of the file.
    fn end_expansion(&mut self, span: Span, message: String) {
        if !self.expansion_ended {
            self.expansion_ended = true;
            self.diagnostics.push(Diagnostic::error(span, message));
        }
    }
}
