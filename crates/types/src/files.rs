//! File types that an interface can declare.

use crate::{Object, flag_names};

bitflags::bitflags! {
    /// The file types that a parameter of kind `file` accepts.
    ///
    /// The bits are part of the wire format and never change.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Files: u32 {
        /// A regular file whose content is stored in a file system. A read waits only for the file
        /// system.
        const REGULAR = 1 << 0;
        /// A character or block device.
        const DEVICE = 1 << 1;
        /// A file whose content the kernel generates when it is read, as in `/proc` and `/sys`. A
        /// read may wait for an event.
        const SPECIAL = 1 << 2;
    }
}

impl Files {
    /// Returns the file type with this name, as written in an interface: `regular`.
    pub fn from_word(word: &str) -> Option<Self> {
        flag_names::find(word)
    }

    /// Returns whether the set includes the type of this file.
    pub const fn include(self, file: Object) -> bool {
        self.contains(match file {
            Object::RegularFile => Self::REGULAR,
            Object::Device => Self::DEVICE,
            #[cfg(not(windows))]
            Object::SpecialFile => Self::SPECIAL,
            _ => return false,
        })
    }
}

/// Writes the names with `|` between them, as in an interface.
impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        flag_names::write(self, f)
    }
}
