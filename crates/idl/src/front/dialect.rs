//! Recognizes files in languages that resemble MIDL's. Such a file gets one error that names the
//! language, because otherwise nearly every line would cause an error.

use super::diagnostic::Diagnostic;
use super::source::Span;
use super::token::{Punctuation, Token, TokenKind};

/// A construct of another language that MIDL doesn't support.
pub(super) struct ForeignConstruct {
    span: Span,
    language: &'static str,
    what: &'static str,
}

/// Attributes of Samba's pidl that MIDL doesn't have.
const PIDL: &[&str] = &[
    "charset",
    "flag",
    "gensize",
    "helper",
    "noprint",
    "nopull",
    "nopush",
    "nosize",
    "relative",
    "relative_base",
    "relative_short",
    "skip_noinit",
    "subcontext",
    "subcontext_size",
    "to_null",
];

/// Attributes of Mozilla's XPIDL that MIDL doesn't have.
const XPIDL: &[&str] = &["builtinclass", "function", "infallible", "noscript", "scriptable"];

/// Finds the first construct of another language. Called only for files with errors, because a
/// correct file may use some of these words as names. A file that contains `HRESULT` is considered
/// to be MIDL.
pub(super) fn find(tokens: &[Token]) -> Option<ForeignConstruct> {
    if tokens.iter().any(|token| token.kind.is_word("HRESULT")) {
        return None;
    }
    (0..tokens.len()).find_map(|at| {
        let (language, what) = find_at(tokens, at)?;
        Some(ForeignConstruct { span: tokens[at].span, language, what })
    })
}

/// Creates the error for a file in another language.
pub(super) fn diagnostic(construct: &ForeignConstruct) -> Diagnostic {
    let message =
        format!("this file uses the language of {}, which isn't supported", construct.language);
    Diagnostic::error(construct.span, message)
        .label(construct.what)
        .hint("describe the interface in MIDL's language, or as a trait")
}

fn find_at(tokens: &[Token], at: usize) -> Option<(&'static str, &'static str)> {
    let kind = |offset: usize| tokens.get(at + offset).map(|token| &token.kind);
    let word = |offset: usize| kind(offset).and_then(TokenKind::word);
    let is = |offset: usize, mark: Punctuation| kind(offset).is_some_and(|kind| kind.is(mark));
    let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|token| &token.kind);
    let follows = |mark: Punctuation| before.is_some_and(|kind| kind.is(mark));
    if is(0, Punctuation::Percent) && is(1, Punctuation::BraceOpen) {
        return Some(("Mozilla's XPIDL", "a block of C++"));
    }
    let first = word(0)?;
    let in_list = follows(Punctuation::BracketOpen) || follows(Punctuation::Comma);
    let ends_attribute = is(1, Punctuation::Comma)
        || is(1, Punctuation::BracketClose)
        || is(1, Punctuation::ParenOpen);
    let is_statement = follows(Punctuation::Semicolon)
        || follows(Punctuation::BraceOpen)
        || follows(Punctuation::BraceClose)
        || before.is_none();
    Some(match first {
        name if in_list && ends_attribute && PIDL.contains(&name) => {
            ("Samba's pidl", "an attribute of pidl's")
        }
        "bitmap"
            if is(1, Punctuation::BraceOpen)
                || word(1).is_some() && is(2, Punctuation::BraceOpen) =>
        {
            ("Samba's pidl", "a bitmap")
        }
        name if in_list && ends_attribute && XPIDL.contains(&name) => {
            ("Mozilla's XPIDL", "an attribute of XPIDL's")
        }
        "partial" if matches!(word(1), Some("interface" | "dictionary" | "namespace")) => {
            ("Web IDL", "a part of a declaration")
        }
        "interface" if word(1) == Some("mixin") => ("Web IDL", "a mixin"),
        "dictionary" if word(1).is_some() && is_statement => ("Web IDL", "a dictionary"),
        "Exposed" if follows(Punctuation::BracketOpen) && is(1, Punctuation::Equal) => {
            ("Web IDL", "an attribute of Web IDL's")
        }
        "raises" if follows(Punctuation::ParenClose) && is(1, Punctuation::ParenOpen) => {
            ("CORBA", "exceptions of a method")
        }
        "exception" | "valuetype" if word(1).is_some() && is(2, Punctuation::BraceOpen) => {
            ("CORBA", "a declaration of CORBA's")
        }
        "sequence" if is(1, Punctuation::Less) => ("CORBA or Web IDL", "a sequence"),
        "readonly" if word(1) == Some("attribute") => {
            ("CORBA, Web IDL or XPIDL", "an attribute of an object")
        }
        "attribute" if word(1).is_some() && word(2).is_some() && is_statement => {
            ("CORBA, Web IDL or XPIDL", "an attribute of an object")
        }
        "parcelable" if word(1).is_some() && is_statement => ("Android's AIDL", "a parcelable"),
        "oneway" if matches!(word(1), Some("interface")) => {
            ("Android's AIDL", "a oneway interface")
        }
        "package" if before.is_none() && word(1).is_some() => ("Android's AIDL", "a package"),
        "in" | "inout"
            if (follows(Punctuation::ParenOpen) || follows(Punctuation::Comma))
                && word(1).is_some()
                && (word(2).is_some() || is(2, Punctuation::BracketOpen)) =>
        {
            ("CORBA, XPIDL or AIDL", "a direction without brackets")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::{lexer, token::Interner};

    fn of(text: &str) -> Option<&'static str> {
        let tokens = lexer::lex(text, 0, &mut Interner::default());
        find(&tokens).map(|construct| construct.language)
    }

    #[test]
    fn other_languages_are_recognized_by_constructs_that_midl_does_not_have() {
        for (text, language) in [
            ("[uuid(\"a\"), helper(\"x.h\")] interface a { }", "Samba's pidl"),
            ("interface a { void b([in,string,charset(UTF16)] uint16 *c); }", "Samba's pidl"),
            ("typedef bitmap { A = 1 } b;", "Samba's pidl"),
            ("typedef struct { [relative] c *d; } e;", "Samba's pidl"),
            ("%{C++\nclass a;\n%}", "Mozilla's XPIDL"),
            ("[scriptable, uuid(a)] interface nsIA : nsISupports { };", "Mozilla's XPIDL"),
            ("interface A { readonly attribute long b; };", "CORBA, Web IDL or XPIDL"),
            ("interface A { void b(in long c, out long d); };", "CORBA, XPIDL or AIDL"),
            ("module A { interface B { void c() raises (D); }; };", "CORBA"),
            ("typedef sequence<long> A;", "CORBA or Web IDL"),
            ("dictionary A { long b; };", "Web IDL"),
            ("package a.b; interface C { void d(); }", "Android's AIDL"),
            ("parcelable A;", "Android's AIDL"),
        ] {
            assert_eq!(of(text), Some(language), "{text}");
        }
    }

    #[test]
    fn files_in_midl_are_accepted() {
        for text in [
            "[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] interface a : b { HRESULT c([in, string] LPCWSTR d, [in, out] long *e); }",
            "typedef struct package { long in; } package;",
            "interface a { HRESULT b([in, range(0, 1)] long attribute, [out] long *sequence); }",
            "[propget, helpstring(\"a\")] HRESULT exception([out, retval] long *function);",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
