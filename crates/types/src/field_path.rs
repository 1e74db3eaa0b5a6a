//! Paths of fields within values, for error messages.

use std::fmt;

use crate::limits::cut;

/// The path of a field within a value, in Rust's notation: `rings[2].size`. Empty for the value
/// itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// Maximum length in bytes. If a path is longer, an ellipsis replaces its beginning.
    pub const LEN_MAX: usize = 256;

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path, prefixed with the name of the enclosing value: `setup.rings[2].size`.
    pub fn within(&self, name: &str) -> String {
        let mut whole = Self(self.0.clone());
        whole.join_before(name);
        whole.0
    }

    /// Writes the prefix of an error message: the index of the parameter, if known, and the path.
    pub(crate) fn write_before_error(
        &self,
        parameter: Option<u16>,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        if let Some(index) = parameter {
            write!(f, "parameter {index}: ")?;
        }
        if !self.0.is_empty() {
            write!(f, "`{}`: ", self.0)?;
        }
        Ok(())
    }

    /// Prepends a part to the path: the name of a field, or of an enum's variant and its field.
    pub(crate) fn put_before(&mut self, part: &str) {
        if self.0.starts_with('…') {
            // The path has reached its maximum length, so the outer parts are omitted.
        } else if self.0.len() + part.len() + 4 < Self::LEN_MAX {
            self.join_before(part);
        } else {
            self.0.insert(0, '…');
        }
    }

    /// Prepends the index of a list item to the path.
    pub(crate) fn put_item_before(&mut self, index: usize) {
        self.put_before(&format!("[{index}]"));
    }

    fn join_before(&mut self, part: &str) {
        let dot = if self.0.is_empty() || self.0.starts_with(['[', '…']) { "" } else { "." };
        self.0 = format!("{part}{dot}{}", self.0);
    }
}

/// Truncates the text to the maximum length.
impl From<&str> for FieldPath {
    fn from(text: &str) -> Self {
        Self(cut(text, Self::LEN_MAX).to_owned())
    }
}
