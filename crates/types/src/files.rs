//! Sorts of files that an interface can declare.

use crate::{Object, flag_names};

bitflags::bitflags! {
    /// A set of sorts of files, which a parameter of the kind `file` takes.
    ///
    /// The bits travel on the wire and never change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Files: u32 {
        /// A regular file whose content is stored in a file system. A read of it waits for the file
        /// system alone.
        const REGULAR = 1 << 0;
        /// A character or block device.
        const DEVICE = 1 << 1;
        /// A file whose content the kernel makes when it is read, as in `/proc` and `/sys`. A read of
        /// it may wait for an event.
        const SPECIAL = 1 << 2;
    }
}

impl Files {
    /// Returns the sort with this name, as written in an interface: `regular`.
    pub fn from_word(word: &str) -> Option<Self> {
        flag_names::find(word)
    }

    /// Returns whether the set includes files of this type.
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
