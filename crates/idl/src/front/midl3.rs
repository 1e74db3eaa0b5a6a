//! Recognizes files in the language MIDL 3.0, which isn't supported.
//!
//! MIDL 3.0 uses the same words as classic MIDL with a different grammar: a class contains its
//! members, and properties and events are declarations. Such a file gets one error that names the
//! language, because otherwise nearly every line would cause an error.

use super::diagnostic::Diagnostic;
use super::limits::CLASS_HEAD_TOKENS_MAX;
use super::source::Span;
use super::token::{Punctuation, Token, TokenKind};

/// Types that are built into MIDL 3.0 but not into classic MIDL.
const TYPES: &[&str] = &[
    "Boolean", "Char16", "Double", "Int16", "Int32", "Int64", "Object", "Single", "String",
    "UInt16", "UInt32", "UInt64", "UInt8",
];

/// Keywords of MIDL 3.0 that precede `runtimeclass`.
const CLASS_WORDS: &[&str] = &["partial", "static", "unsealed"];

/// Finds the first construct that exists only in MIDL 3.0.
pub(super) fn find(tokens: &[Token]) -> Option<(Span, &'static str)> {
    let has_namespace = (0..tokens.len()).any(|at| namespace(tokens, at));
    (0..tokens.len()).find_map(|at| {
        let what = find_at(tokens, at, has_namespace)?;
        Some((tokens[at].span, what))
    })
}

/// Finds the first namespace in a file that declares types but contains no UUID. Classic MIDL
/// requires UUIDs, and MIDL 3.0 rarely uses them. Because the file may also be erroneous classic
/// MIDL, this function is called only for files that can't be parsed.
pub(super) fn find_weak(tokens: &[Token]) -> Option<(Span, &'static str)> {
    let at = (0..tokens.len()).find(|&at| namespace(tokens, at))?;
    let has_uuid = tokens
        .iter()
        .any(|token| matches!(token.kind, TokenKind::Uuid(_)) || token.kind.is_word("uuid"));
    let declares = |token: &Token| {
        ["delegate", "interface", "runtimeclass"].iter().any(|word| token.kind.is_word(word))
    };
    (!has_uuid && tokens.iter().any(declares))
        .then(|| (tokens[at].span, "a namespace, and nothing in it has a `uuid`"))
}

/// Creates the error for a MIDL 3.0 file.
pub(super) fn diagnostic((span, what): (Span, &'static str)) -> Diagnostic {
    Diagnostic::error(span, "this file uses the language of MIDL 3.0, which isn't supported").label(what).hint(
        "classic MIDL is: declare an `interface` with `uuid` and methods that return `HRESULT`, or \
         describe it as a trait",
    )
}

fn find_at(tokens: &[Token], at: usize, has_namespace: bool) -> Option<&'static str> {
    let word = tokens[at].kind.word();
    let next = |offset: usize| tokens.get(at + offset).map(|token| &token.kind);
    let next_is = |offset: usize, punctuation: Punctuation| {
        next(offset).is_some_and(|kind| kind.is(punctuation))
    };
    let next_word = |offset: usize| next(offset).and_then(TokenKind::word);
    match word {
        None if tokens[at].kind.is(Punctuation::BraceOpen) => {
            let is_accessor =
                matches!(next_word(1), Some("get" | "set")) && next_is(2, Punctuation::Semicolon);
            is_accessor.then_some("a property")
        }
        None if tokens[at].kind.is(Punctuation::BracketOpen) && has_namespace => {
            let is_dotted = next_word(1).is_some() && next_is(2, Punctuation::Dot);
            let is_default = next_word(1) == Some("default_interface");
            (is_dotted || is_default).then_some("attributes of MIDL 3.0's")
        }
        Some("runtimeclass") if next_word(1).is_some() => class_member(&tokens[at..]),
        Some(word) if CLASS_WORDS.contains(&word) && next_word(1) == Some("runtimeclass") => {
            Some("a word of MIDL 3.0's")
        }
        Some("delegate") if next_word(1) == Some("void") => Some("a delegate without `HRESULT`"),
        Some("event") if has_namespace && next_word(1).is_some() => {
            let is_type = next_is(2, Punctuation::Dot) || next_is(2, Punctuation::Less);
            is_type.then_some("an event")
        }
        Some(word) if has_namespace && TYPES.contains(&word) => {
            let names = next_word(1).is_some() && !next_is(2, Punctuation::Dot);
            let is_array = next_is(1, Punctuation::BracketOpen);
            (names || is_array).then_some("a type of MIDL 3.0's")
        }
        _ => None,
    }
}

/// Describes the first member of a runtimeclass if it isn't an interface. `tokens` starts at the
/// keyword `runtimeclass`.
fn class_member(tokens: &[Token]) -> Option<&'static str> {
    let opening = tokens.iter().take(CLASS_HEAD_TOKENS_MAX).position(|token| {
        token.kind.is(Punctuation::BraceOpen) || token.kind.is(Punctuation::Semicolon)
    })?;
    if !tokens[opening].kind.is(Punctuation::BraceOpen) {
        return None;
    }
    let rest = &tokens[opening + 1..];
    let word = rest.first()?.kind.word()?;
    let follows = |punctuation| rest.get(1).is_some_and(|token| token.kind.is(punctuation));
    let is_constructor = follows(Punctuation::ParenOpen);
    let is_member = word != "interface"
        && rest.get(1).is_some_and(|token| token.kind.word().is_some())
        && rest.get(2).is_some_and(|token| {
            token.kind.is(Punctuation::ParenOpen) || token.kind.is(Punctuation::BraceOpen)
        });
    (is_constructor || is_member).then_some("a class with members in itself")
}

fn namespace(tokens: &[Token], at: usize) -> bool {
    tokens[at].kind.is_word("namespace")
        && tokens.get(at + 1).is_some_and(|token| token.kind.word().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::{lexer, token::Interner};

    fn of(text: &str) -> Option<&'static str> {
        let tokens = lexer::lex(text, 0, &mut Interner::default());
        find(&tokens).map(|(_, what)| what)
    }

    #[test]
    fn syntax_of_midl_3_is_reported() {
        for text in [
            "namespace A { runtimeclass B { B(); } }",
            "namespace A { runtimeclass B : C.D { void E(); } }",
            "namespace A { interface B { Windows.C D { get; }; } }",
            "namespace A { unsealed runtimeclass B { } }",
            "namespace A { [default_interface] runtimeclass B { } }",
            "namespace A { [A.B.C] runtimeclass B { } }",
            "namespace A { delegate void B(); }",
            "namespace A { interface B { event C.D<E, F> G; } }",
            "namespace A { struct B { Int32 C; }; }",
            "namespace A { interface B { HRESULT C(UInt8[] d); } }",
        ] {
            assert!(of(text).is_some(), "{text}");
        }
    }

    #[test]
    fn classic_files_are_accepted() {
        for text in [
            "namespace A { [uuid(1284c788-6978-43d5-9a02-414901a2ec75)] interface B : C { [propget] HRESULT D([out, retval] HSTRING *e); } }",
            "namespace A { runtimeclass B { [default] interface A.C; interface D; } }",
            "namespace A { runtimeclass B; }",
            "namespace A { runtimeclass B { IC; } }",
            "namespace A { delegate HRESULT B([in] IInspectable *sender); }",
            "namespace A { [contract(Windows.Foundation.X, 1.0)] enum B { C }; }",
            "typedef long String; interface A { HRESULT b(String c); }",
            "interface A { HRESULT b(long event); }",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
