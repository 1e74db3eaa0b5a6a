//! Identifiers of interfaces and classes.

use std::fmt;
use std::str::FromStr;

/// A GUID: the identifier of an interface (IID) or a class (CLSID).
///
/// Written in the form of [RFC 9562](https://www.rfc-editor.org/rfc/rfc9562), with or without
/// braces; shown in lower case without. On the wire it is the sixteen bytes in the order in which
/// they are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID of zeros, which stands for none.
    pub const NIL: Self = Self([0; 16]);

    /// The GUID of these bytes, in the order in which they are written.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, in the order in which they are written.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (i, c) in inner.char_indices() {
            match (i, c.to_digit(16)) {
                (8 | 13 | 18 | 23, None) if c == '-' => {}
                (8 | 13 | 18 | 23, _) | (36.., _) | (_, None) => return Err(ParseGuidError),
                (_, Some(digit)) => {
                    bytes[digits / 2] = bytes[digits / 2] << 4 | digit as u8;
                    digits += 1;
                }
            }
        }
        if digits == 32 { Ok(Self(bytes)) } else { Err(ParseGuidError) }
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

/// The text isn't a GUID.
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
    fn what_is_no_guid_is_refused() {
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
