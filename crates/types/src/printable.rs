//! Escapes untrusted text, so that terminals and log files show every character and interpret none.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use crate::Limits;

/// Displays untrusted text safely. Examples are the text of a fault, a file name, or an argument of
/// a call.
///
/// Control characters, line breaks, and characters that reorder or hide text are shown as escapes
/// (`\n`, `\u{1b}`). The output is one line of at most [`Limits::TEXT_BYTES_MAX`] bytes. Displaying
/// the output again leaves it unchanged.
///
/// ```
/// # use syshandle_types::Printable;
/// let text = Printable("menu\u{1b}]0;title\u{7}\nroot logged in").to_string();
/// assert_eq!(text, r"menu\u{1b}]0;title\u{7}\nroot logged in");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<T>(pub T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternate = f.alternate();
        let mut out = Escape { to: f, left: Limits::TEXT_BYTES_MAX, cut: false };
        if alternate { write!(out, "{:#}", self.0) } else { write!(out, "{}", self.0) }
    }
}

impl Printable<&str> {
    /// Escapes a text like [`Printable`], but keeps its line breaks and does not limit its length.
    /// For output whose line breaks and length the program itself determines.
    pub fn lines(text: &str) -> Cow<'_, str> {
        if text.chars().all(|c| c == '\n' || is_plain(c)) {
            return text.into();
        }
        let mut lines = String::with_capacity(text.len());
        for c in text.chars() {
            if c == '\n' || is_plain(c) {
                lines.push(c);
            } else {
                lines.extend(c.escape_default());
            }
        }
        lines.into()
    }
}

impl Printable<String> {
    /// Returns the text as displayed. Allocates only if escaping or truncation changes the text.
    pub fn into_text(self) -> String {
        if is_printable(&self.0) { self.0 } else { self.to_string() }
    }
}

/// Returns whether [`Printable`] would display the text unchanged.
pub fn is_printable(text: &str) -> bool {
    let content = text.strip_suffix(ELLIPSIS).unwrap_or(text);
    content.len() + ELLIPSIS.len() <= Limits::TEXT_BYTES_MAX && content.chars().all(is_plain)
}

/// Escapes the text that is written to it, up to a number of bytes.
struct Escape<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    /// Bytes that may still be written.
    left: usize,
    cut: bool,
}

impl Escape<'_, '_> {
    /// Writes one character, plain or escaped, if it and a possible ellipsis still fit.
    fn put(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        if text.len() + ELLIPSIS.len() > self.left {
            self.cut = true;
            return self.to.write_str(ELLIPSIS);
        }
        self.left -= text.len();
        self.to.write_str(text)
    }
}

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Fast path: most texts are short and need no escapes, so they are written in one piece.
        if !self.cut && text.len() + ELLIPSIS.len() <= self.left && text.chars().all(is_plain) {
            self.left -= text.len();
            return self.to.write_str(text);
        }
        let mut buffer = String::with_capacity(10);
        for c in text.chars() {
            buffer.clear();
            if is_plain(c) {
                buffer.push(c);
            } else {
                buffer.extend(c.escape_default());
            }
            self.put(&buffer)?;
        }
        Ok(())
    }
}

/// Returns whether a terminal shows the character visibly, in its place, and without another
/// effect. Returns `false` for the Unicode 17 general categories Cc (control), Cf (format), Zl and
/// Zp (line and paragraph separators), and for the variation selectors, which are invisible.
fn is_plain(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        '\u{ad}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => false,
        _ => true,
    }
}

/// Follows the text if it was truncated.
const ELLIPSIS: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_an_effect_are_escaped_and_others_are_not() {
        for (text, shown) in [
            ("plain \u{e9}\u{4e2d}\u{1f600} \"'\\", "plain \u{e9}\u{4e2d}\u{1f600} \"'\\"),
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("\u{1b}]0;x\u{7}", r"\u{1b}]0;x\u{7}"),
            ("\u{9b}2J\u{9d}", r"\u{9b}2J\u{9d}"),
            ("a\nb\rc\td\0e\u{7f}", r"a\nb\rc\td\u{0}e\u{7f}"),
            ("a\u{202e}b\u{2066}c\u{200f}", r"a\u{202e}b\u{2066}c\u{200f}"),
            ("a\u{2028}b\u{2029}c\u{85}", r"a\u{2028}b\u{2029}c\u{85}"),
            ("\u{feff}\u{200b}\u{ad}\u{e0041}", r"\u{feff}\u{200b}\u{ad}\u{e0041}"),
        ] {
            assert_eq!(Printable(text).to_string(), shown);
            assert_eq!(is_printable(text), text == shown, "{shown}");
        }
    }

    #[test]
    fn lines_keep_their_breaks_alone() {
        assert_eq!(Printable::lines("a\n\tb\n"), "a\n\\tb\n");
        assert_eq!(Printable::lines("a\u{1b}[0m\r\n"), "a\\u{1b}[0m\\r\n");
        let long = "x".repeat(100_000);
        assert_eq!(Printable::lines(&long), long);
    }

    #[test]
    fn displaying_twice_is_displaying_once() {
        for text in ["\u{1b}\n", &"\u{202e}".repeat(5000), &"x".repeat(5000), "\u{e9}"] {
            let once = Printable(text.to_owned()).into_text();
            assert!(is_printable(&once), "{once}");
            assert_eq!(Printable(&once).to_string(), once);
        }
    }

    #[test]
    fn output_is_bounded_in_one_piece_or_many() {
        struct Many;
        impl Display for Many {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (0..100_000).try_for_each(|_| f.write_str("é\n"))
            }
        }
        for text in [Printable(Many).to_string(), Printable("\0".repeat(100_000)).into_text()] {
            assert!(text.len() <= Limits::TEXT_BYTES_MAX && text.len() > 4000, "{}", text.len());
            assert!(text.ends_with(ELLIPSIS));
        }
    }
}
