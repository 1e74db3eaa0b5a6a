//! Identifiers of interfaces and classes.

use std::fmt;
use std::str::FromStr;

/// A GUID: the identifier of an interface (IID) or a class (CLSID).
///
/// The text form follows [RFC 9562](https://www.rfc-editor.org/rfc/rfc9562). Parsing accepts it
/// with or without braces, and `Display` writes it in lower case without braces. On the wire, a
/// GUID is its sixteen bytes in the order of the text form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID whose bytes are all zero, which means "none".
    pub const NIL: Self = Self([0; 16]);

    /// Creates a GUID from its bytes in the order of the text form.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses the text form, with or without braces. Can be used in constants.
    ///
    /// # Errors
    /// The text is not a valid GUID.
    pub const fn parse(text: &str) -> Result<Self, ParseGuidError> {
        let inner = match text.as_bytes() {
            [b'{', inner @ .., b'}'] => inner,
            inner => inner,
        };
        if inner.len() != 36 {
            return Err(ParseGuidError);
        }
        let (mut bytes, mut digits, mut i) = ([0; 16], 0, 0);
        while i < inner.len() {
            let is_hyphen = matches!(i, 8 | 13 | 18 | 23);
            match (inner[i] as char).to_digit(16) {
                Some(digit) if !is_hyphen => {
                    bytes[digits / 2] = bytes[digits / 2] << 4 | digit as u8;
                    digits += 1;
                }
                None if is_hyphen && inner[i] == b'-' => {}
                _ => return Err(ParseGuidError),
            }
            i += 1;
        }
        Ok(Self(bytes))
    }

    /// Returns the bytes in the order of the text form.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// Uses the order of the text form.
impl From<[u8; 16]> for Guid {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Uses the order of the text form.
impl From<Guid> for [u8; 16] {
    fn from(guid: Guid) -> Self {
        guid.0
    }
}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        Self::parse(text)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// The error for a text that is not a valid GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseGuidError;

impl fmt::Display for ParseGuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GUID is written as 8-4-4-4-12 hexadecimal digits")
    }
}

impl std::error::Error for ParseGuidError {}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "1284c788-6978-43d5-9a02-414901a2ec75";

    #[test]
    fn text_and_guid_round_trip() {
        let guid: Guid = TEXT.parse().unwrap();
        assert_eq!(guid.to_string(), TEXT);
        assert_eq!(guid.to_bytes()[..4], [0x12, 0x84, 0xc7, 0x88]);
        assert_eq!(format!("{{{}}}", TEXT.to_uppercase()).parse(), Ok(guid));
    }

    #[test]
    fn malformed_guids_are_refused() {
        for text in [
            "",
            "{}",
            "1284c788",
            "1284c788-6978-43d5-9a02-414901a2ec7",
            "é284c788-6978-43d5-9a02-414901a2ec7",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(ParseGuidError), "{text}");
        }
        assert!(format!("{TEXT}0").parse::<Guid>().is_err());
        assert!(format!("{{{TEXT}").parse::<Guid>().is_err());
        assert!(TEXT.replace('-', "0").parse::<Guid>().is_err());
    }
}
