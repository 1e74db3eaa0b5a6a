//! Converts the text of a file to tokens.

use super::diagnostic::Diagnostic;
use super::limits::STRING_BYTES_MAX;
use super::source::Span;
use super::token::{Interner, Punctuation, Token, TokenKind, Uuid};

/// Converts a text to tokens, followed by an end token. `start` is the position of the text in the
/// source map. Comments and line continuations are dropped. An unterminated token is only marked,
/// and reported later if it isn't skipped by a false `#if`.
pub(crate) fn lex(text: &str, start: u32, interner: &mut Interner) -> Vec<Token> {
    lex_with_comments(text, start, interner).0
}

/// Converts a text to tokens. Also returns the positions of line comments that end with `\`, which
/// makes the next line part of the comment.
pub(crate) fn lex_with_comments(
    text: &str,
    start: u32,
    interner: &mut Interner,
) -> (Vec<Token>, Vec<Span>) {
    let mut lexer = Lexer { text, start, at: 0, starts_line: true, continued_comments: Vec::new() };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        let token = lexer.next(interner);
        let ended = token.kind == TokenKind::End;
        tokens.push(token);
        if ended {
            return (tokens, lexer.continued_comments);
        }
    }
}

/// Returns the error for an unterminated string, character constant or comment.
pub(crate) fn token_error(token: &Token) -> Diagnostic {
    let (message, hint) = match token.kind {
        TokenKind::String { .. } => {
            ("string without an end", "a string ends with `\"` on the line where it starts")
        }
        TokenKind::Character { .. } => {
            ("character constant without an end", "a character constant ends with `'`")
        }
        _ => ("comment without an end", "a comment that starts with `/*` ends with `*/`"),
    };
    Diagnostic::error(token.span, message).hint(hint)
}

struct Lexer<'t> {
    text: &'t str,
    /// The position of the text in the source map.
    start: u32,
    at: usize,
    starts_line: bool,
    /// The positions of backslashes that extend a comment to the next line, unless that line is
    /// empty or a comment.
    continued_comments: Vec<Span>,
}

impl<'t> Lexer<'t> {
    fn next(&mut self, interner: &mut Interner) -> Token {
        let before = self.at;
        let open_comment = self.skip_blank();
        let spaced = self.at > before;
        let starts_line = std::mem::take(&mut self.starts_line);

        let from = self.at;
        let (kind, ended) = self.read(interner);
        let span = open_comment.unwrap_or_else(|| self.span(from, self.at));
        let is_unterminated = !ended || open_comment.is_some();
        Token { kind, span, starts_line, spaced, is_inert: false, is_unterminated, pack: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn first_character(&self) -> char {
        self.rest().chars().next().unwrap_or('\0')
    }

    fn span(&self, from: usize, to: usize) -> Span {
        Span::new(self.start + from as u32, self.start + to as u32)
    }

    /// Skips white space, comments and line continuations. Returns the start of an unterminated
    /// comment, if any.
    fn skip_blank(&mut self) -> Option<Span> {
        let bytes = self.text.as_bytes();
        loop {
            match (bytes.get(self.at), bytes.get(self.at + 1)) {
                (Some(b'\n'), _) => {
                    self.starts_line = true;
                    self.at += 1;
                }
                (Some(b' ' | b'\t' | b'\r' | 0x0b | 0x0c | 0x1a), _) => self.at += 1,
                (Some(b'\\'), Some(b'\n')) => self.at += 2,
                (Some(b'\\'), Some(b'\r')) if bytes.get(self.at + 2) == Some(&b'\n') => {
                    self.at += 3;
                }
                (Some(b'/'), Some(b'/')) => self.skip_line_comment(),
                (Some(b'/'), Some(b'*')) => {
                    let from = self.at;
                    if !self.skip_block_comment() {
                        return Some(self.span(from, from + 2));
                    }
                }
                (Some(0xc2), Some(0xa0)) => self.at += 2, // a no-break space
                _ => return None,
            }
        }
    }

    /// Skips to the end of the line, including continuation lines.
    fn skip_line_comment(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let joined =
                byte == b'\n' && self.text[..self.at].trim_end_matches('\r').ends_with('\\');
            if byte == b'\n' && !joined {
                return;
            }
            self.at += 1;
            if joined {
                self.record_continuation();
            }
        }
    }

    /// Records that a comment continues on the next line, unless that line is empty or a comment.
    fn record_continuation(&mut self) {
        let rest = self.text.as_bytes()[self.at..].iter();
        let mut letters = rest.skip_while(|byte| matches!(**byte, b' ' | b'\t' | b'\r'));
        let is_more = match (letters.next(), letters.next()) {
            (None | Some(b'\n'), _) => false,
            (Some(first), second) => (*first, second.copied()) != (b'/', Some(b'/')),
        };
        if is_more {
            let before = self.text[..self.at].trim_end_matches(['\r', '\n']).len();
            self.continued_comments.push(self.span(before - 1, before));
        }
    }

    fn skip_block_comment(&mut self) -> bool {
        match self.text[self.at + 2..].find("*/") {
            Some(length) => {
                self.at += 2 + length + 2;
                true
            }
            None => {
                self.at = self.text.len();
                false
            }
        }
    }

    /// Reads the next token. Also returns whether the token is terminated.
    fn read(&mut self, interner: &mut Interner) -> (TokenKind, bool) {
        let bytes = self.rest().as_bytes();
        let Some(&first) = bytes.first() else { return (TokenKind::End, true) };
        let second = bytes.get(1).copied().unwrap_or_default();
        match first {
            _ if first.is_ascii_alphanumeric() && self.uuid().is_some() => {
                let uuid = self.uuid().unwrap_or(Uuid(0));
                self.at += Uuid::LENGTH;
                (TokenKind::Uuid(uuid), true)
            }
            b'"' | b'\'' => self.quoted_token(first, false, interner),
            b'L' if matches!(second, b'"' | b'\'') => {
                self.at += 1;
                self.quoted_token(second, true, interner)
            }
            b'0'..=b'9' => (TokenKind::Number(interner.intern(self.number())), true),
            b'.' if second.is_ascii_digit() => {
                (TokenKind::Number(interner.intern(self.number())), true)
            }
            _ if is_word_byte(first) => {
                let length = bytes.iter().take_while(|byte| is_word_byte(**byte)).count();
                let word = &self.rest()[..length];
                self.at += length;
                (TokenKind::Identifier(interner.intern(word)), true)
            }
            _ => (self.punctuation(), true),
        }
    }

    /// Returns the UUID at the current position, if there is one.
    fn uuid(&self) -> Option<Uuid> {
        let bytes = self.rest().as_bytes();
        if bytes.get(8) != Some(&b'-') || bytes.get(Uuid::LENGTH).is_some_and(|&b| is_word_byte(b))
        {
            return None;
        }
        Uuid::parse(self.rest().get(..Uuid::LENGTH)?)
    }

    /// Reads a preprocessing number, as C defines it: digits, letters, dots, and a sign after the
    /// `e` of an exponent.
    fn number(&mut self) -> &'t str {
        let bytes = self.rest().as_bytes();
        let hexadecimal = bytes.len() > 1 && bytes[0] == b'0' && bytes[1] | 0x20 == b'x';
        let mut length = 1;
        while let Some(&byte) = bytes.get(length) {
            let continues = match byte {
                b'.' => bytes.get(length + 1) != Some(&b'.') && bytes[length - 1] != b'.',
                b'+' | b'-' => bytes[length - 1] | 0x20 == b'e' && !hexadecimal,
                _ => is_word_byte(byte),
            };
            if !continues {
                break;
            }
            length += 1;
        }
        let text = &self.rest()[..length];
        self.at += length;
        text
    }

    fn quoted_token(
        &mut self,
        quote: u8,
        wide: bool,
        interner: &mut Interner,
    ) -> (TokenKind, bool) {
        let (text, ended) = self.quoted(quote);
        let text = interner.intern(&text.replace("\\\r\n", "").replace("\\\n", ""));
        if quote == b'"' {
            (TokenKind::String { text, wide }, ended)
        } else {
            (TokenKind::Character { text, wide }, ended)
        }
    }

    /// Reads a quoted text. Returns the text between the quotes, and whether a closing quote was
    /// found. The text normally ends at the end of the line, but a string may continue on the next
    /// line.
    fn quoted(&mut self, quote: u8) -> (&'t str, bool) {
        let from = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut to = from;
        while let Some(&byte) = bytes.get(to) {
            match byte {
                b'\n' if quote != b'"' || !string_continues(&bytes[to..]) => break,
                b'\\' if bytes.get(to + 1) == Some(&b'\r') && bytes.get(to + 2) == Some(&b'\n') => {
                    to += 3;
                }
                b'\\' => to += 2,
                _ if byte == quote => {
                    self.at = to + 1;
                    return (&self.text[from..to], true);
                }
                _ => to += 1,
            }
        }
        // An escape at the end of the text may have skipped past the end, or into the middle of a
        // character.
        to = to.min(bytes.len());
        while !self.text.is_char_boundary(to) {
            to += 1;
        }
        self.at = to;
        (self.text[from..to].trim_end_matches('\r'), false)
    }

    fn punctuation(&mut self) -> TokenKind {
        let rest = self.rest();
        for &(punctuation, text) in Punctuation::ALL {
            if rest.starts_with(text) {
                self.at += text.len();
                return TokenKind::Punctuation(punctuation);
            }
        }
        let character = self.first_character();
        self.at += character.len_utf8();
        TokenKind::Unknown(character)
    }
}

/// Returns whether an unclosed string continues on the next line, which MIDL allows. The string
/// continues if the next quote is followed by `)`, `,` or `;`. Otherwise, the closing quote is
/// missing.
fn string_continues(rest: &[u8]) -> bool {
    let near = &rest[..rest.len().min(STRING_BYTES_MAX)];
    let Some(quote) = near.iter().position(|&byte| byte == b'"') else { return false };
    let after = rest[quote + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(after, Some(b')' | b',' | b';'))
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> (Vec<String>, Vec<String>) {
        let tokens = super::lex(text, 0, &mut Interner::default());
        let flaws = tokens
            .iter()
            .filter(|token| token.is_unterminated)
            .map(|token| token_error(token).message);
        let words = tokens.iter().map(|token| token.kind.to_string());
        (words.take(tokens.len() - 1).collect(), flaws.collect())
    }

    fn tokens(text: &str) -> Vec<String> {
        let (tokens, flaws) = lex(text);
        assert!(flaws.is_empty(), "{flaws:?}");
        tokens
    }

    #[test]
    fn words_numbers_and_operators_are_distinguished() {
        assert_eq!(
            tokens("a_1<<=0x1Fu+1e-5-.5"),
            ["a_1", "<<", "=", "0x1Fu", "+", "1e-5", "-", ".5"]
        );
        assert_eq!(tokens("0xe-1 0..9 a->b"), ["0xe", "-", "1", "0", "..", "9", "a", "->", "b"]);
    }

    #[test]
    fn a_uuid_is_one_token_with_any_digits() {
        for uuid in ["1284c788-6978-43d5-9a02-414901a2ec75", "0000000e-0000-000e-c000-000000000046"]
        {
            assert_eq!(tokens(&format!("uuid({uuid})")), ["uuid", "(", uuid, ")"]);
        }
    }

    #[test]
    fn comments_and_joined_lines_are_blank() {
        assert_eq!(tokens("a/*b\n*/c//d\\\ne\nf\\\ng\\\r\nh"), ["a", "c", "f", "g", "h"]);
    }

    #[test]
    fn strings_keep_their_escapes() {
        assert_eq!(tokens(r#""a\"b" L"c" 'd' L'\''"#), [r#""a\"b""#, r#"L"c""#, "'d'", r"L'\''"]);
    }

    #[test]
    fn a_missing_end_is_reported_once_and_the_next_line_is_read() {
        assert_eq!(lex("\"ab\nc").1, ["string without an end"]);
        assert_eq!(lex("\"ab\nc").0, ["\"ab\"", "c"]);
        assert_eq!(lex("'a").1, ["character constant without an end"]);
        assert_eq!(lex("a /* b").1, ["comment without an end"]);
    }

    #[test]
    fn string_may_span_lines_but_does_not_reach_the_next_string() {
        assert_eq!(tokens("a(\"b\nc\") d")[2], "\"b\nc\"");
        let (words, flaws) = lex("a(\"b)\nc(\"d\")");
        assert_eq!(words, ["a", "(", "\"b)\"", "c", "(", "\"d\"", ")"]);
        assert_eq!(flaws, ["string without an end"]);
    }

    #[test]
    fn unknown_characters_are_tokens() {
        assert_eq!(tokens("a @ é"), ["a", "@", "\\u{e9}"]);
    }

    #[test]
    fn any_cut_of_a_text_is_read() {
        let text = "[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] \"\\\r\n\\\" é\" L'\\é' /* é */ // \\\n #";
        for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
            lex(&text[..end]);
        }
    }
}
