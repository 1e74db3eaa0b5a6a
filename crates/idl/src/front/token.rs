//! The tokens of an IDL file, which the preprocessor passes to the parser.

use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::source::Span;

/// A name, or the text of a number or string. Equal texts in a run share the same memory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(Arc<str>);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stores each distinct text of a run once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: HashSet<Name>,
}

impl Interner {
    pub(crate) fn intern(&mut self, text: &str) -> Name {
        if let Some(name) = self.texts.get(text) {
            return name.clone();
        }
        let name = Name(text.into());
        self.texts.insert(name.clone());
        name
    }
}

/// A token and its position.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
    /// Whether the token is the first on its line. If it is a `#`, it starts a directive.
    pub(crate) starts_line: bool,
    /// Whether white space precedes the token.
    pub(crate) spaced: bool,
    /// Whether the token is the name of a macro in that macro's own expansion. Such a token is
    /// never expanded.
    pub(crate) is_inert: bool,
    /// Whether the token is an unterminated string or comment.
    pub(crate) is_unterminated: bool,
    /// The maximum alignment of fields in bytes, as set by a pragma; 0 if unlimited.
    pub(crate) pack: u8,
}

impl Token {
    /// Creates an end token.
    pub(crate) fn end(span: Span) -> Self {
        Token {
            kind: TokenKind::End,
            span,
            starts_line: true,
            spaced: true,
            is_inert: false,
            is_unterminated: false,
            pack: 0,
        }
    }
}

/// The kind of a token, with its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or keyword. Most IDL keywords are keywords only in certain positions.
    Identifier(Name),
    /// A preprocessing number, as written in the source.
    Number(Name),
    /// A string: the text between the quotes, with unprocessed escapes.
    String { text: Name, wide: bool },
    /// A character constant: the text between the quotes, with unprocessed escapes.
    Character { text: Name, wide: bool },
    /// A UUID: `12345678-1234-1234-1234-123456789abc`.
    Uuid(Uuid),
    /// An operator or a bracket.
    Punctuation(Punctuation),
    /// A character that isn't valid in IDL.
    Unknown(char),
    /// The end of the file.
    End,
}

impl TokenKind {
    pub(crate) fn is(&self, punctuation: Punctuation) -> bool {
        *self == TokenKind::Punctuation(punctuation)
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self, TokenKind::Identifier(name) if &**name == word)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            TokenKind::Identifier(name) => Some(name),
            _ => None,
        }
    }
}

/// Formats the token as it is written in a source file.
impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = |wide: &bool| if *wide { "L" } else { "" };
        match self {
            TokenKind::Identifier(name) | TokenKind::Number(name) => f.write_str(name),
            TokenKind::String { text, wide } => write!(f, "{}\"{text}\"", prefix(wide)),
            TokenKind::Character { text, wide } => write!(f, "{}'{text}'", prefix(wide)),
            TokenKind::Uuid(uuid) => uuid.fmt(f),
            TokenKind::Punctuation(punctuation) => f.write_str(punctuation.text()),
            TokenKind::Unknown(character) => write!(f, "{}", character.escape_default()),
            TokenKind::End => f.write_str("end of file"),
        }
    }
}

/// A universally unique identifier, which identifies an interface, class or library.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Uuid(pub(crate) u128);

/// The numbers of hexadecimal digits in the five groups of a UUID.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Uuid {
    /// The length of a UUID's text, in characters.
    pub(crate) const LENGTH: usize = 36;

    /// Parses a UUID such as `12345678-1234-1234-1234-123456789abc`, with upper-case or lower-case
    /// digits.
    pub(crate) fn parse(text: &str) -> Option<Uuid> {
        let groups: Vec<&str> = text.split('-').collect();
        let fits = |(group, length): (&&str, &usize)| {
            group.len() == *length && group.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        let valid = groups.len() == UUID_GROUPS.len() && groups.iter().zip(&UUID_GROUPS).all(fits);
        valid.then(|| u128::from_str_radix(&groups.concat(), 16).ok()).flatten().map(Uuid)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! punctuation {
    ($($name:ident $text:literal)*) => {
        /// An operator or a bracket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Punctuation { $($name),* }

        impl Punctuation {
            /// All punctuation tokens with their texts. Each text precedes its own prefixes.
            pub(crate) const ALL: &[(Punctuation, &str)] = &[$((Punctuation::$name, $text)),*];

            pub(crate) fn text(self) -> &'static str {
                match self { $(Punctuation::$name => $text),* }
            }
        }
    };
}

punctuation! {
    Ellipsis "..." ShiftLeft "<<" ShiftRight ">>" LessEqual "<=" GreaterEqual ">=" EqualEqual "=="
    NotEqual "!=" AndAnd "&&" OrOr "||" Arrow "->" HashHash "##" DotDot ".."
    ParenOpen "(" ParenClose ")" BracketOpen "[" BracketClose "]" BraceOpen "{" BraceClose "}"
    Comma "," Semicolon ";" Colon ":" Dot "." Plus "+" Minus "-" Star "*" Slash "/" Percent "%"
    And "&" Or "|" Xor "^" Not "!" Tilde "~" Less "<" Greater ">" Equal "=" Question "?" Hash "#"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_is_read_and_written() {
        let text = "1284c788-6978-43d5-9a02-414901a2ec75";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        assert_eq!(Uuid::parse(&text.to_uppercase()), Uuid::parse(text));
    }

    #[test]
    fn almost_valid_uuids_are_refused() {
        for text in [
            "",
            "1284c788-6978-43d5-9a02-414901a2ec7",
            "1284c788-6978-43d5-9a02-414901a2ec755",
            "1284c788-6978-43d5-9a02",
            "1284c788x6978-43d5-9a02-414901a2ec75",
            "+284c788-6978-43d5-9a02-414901a2ec75",
            "1284c788-6978-43d5-9a02-414901a2ec75-",
        ] {
            assert_eq!(Uuid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn longer_operators_precede_their_prefixes() {
        for (index, (_, later)) in Punctuation::ALL.iter().enumerate() {
            assert!(
                Punctuation::ALL[..index].iter().all(|(_, earlier)| !later.starts_with(earlier))
            );
        }
    }
}
