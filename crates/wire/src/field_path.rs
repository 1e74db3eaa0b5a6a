//! Places within values, for errors that name them.

/// A place within a value, as Rust writes it: `rings[2].size`. Empty for the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// Limit of its length in bytes: an ellipsis stands for what is further out.
    pub const LEN_MAX: usize = 256;

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path within a value of this name: `setup.rings[2].size`.
    pub fn within(&self, name: &str) -> String {
        let mut whole = Self(self.0.clone());
        whole.join_before(name);
        whole.0
    }

    /// Puts a field, or an enum's variant and its field, before the path.
    pub(crate) fn put_before(&mut self, part: &str) {
        if self.0.starts_with('…') {
            // More would be built for nothing, at each level of a deep value.
        } else if self.0.len() + part.len() + 4 < Self::LEN_MAX {
            self.join_before(part);
        } else {
            self.0.insert(0, '…');
        }
    }

    /// Puts the item of a list before the path.
    pub(crate) fn put_item_before(&mut self, index: usize) {
        self.put_before(&format!("[{index}]"));
    }

    fn join_before(&mut self, part: &str) {
        let dot = if self.0.is_empty() || self.0.starts_with(['[', '…']) { "" } else { "." };
        self.0 = format!("{part}{dot}{}", self.0);
    }
}

/// Keeps as much of a text as a path may have.
impl From<&str> for FieldPath {
    fn from(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(Self::LEN_MAX)].to_owned())
    }
}
