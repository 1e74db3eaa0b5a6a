//! The rights of a handle.

use std::fmt;

use crate::flag_names;

bitflags::bitflags! {
    /// The operations that a handle permits.
    ///
    /// The enforcement of a right depends on the kind. The kernel refuses a write on a file that
    /// was opened for reading, and a seal refuses a write on a section. But no mechanism prevents
    /// the holder of an event from signalling it. The page of each kind documents this. The bits
    /// travel on the wire and never change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u32 {
        /// Permits reading data, and listing a directory.
        const READ = 1 << 0;
        /// Permits writing data at any place. No directory has this right: the permissions of the
        /// process that makes a change decide.
        const WRITE = 1 << 1;
        /// Permits writing data at the end. That data can't be written elsewhere is advisory: any
        /// holder can remove the flag that tells the kernel so (`O_APPEND`).
        const APPEND = 1 << 2;
        /// Permits signalling an event, releasing a semaphore, and sending a signal to a process.
        const SIGNAL = 1 << 3;
        /// Permits waiting for the object.
        const WAIT = 1 << 4;
        /// Permits mapping into memory.
        const MAP = 1 << 5;
        /// Permits adding seals.
        const SEAL = 1 << 6;
        /// The size of a section can change, through this handle or another one, because no seal
        /// forbids it.
        const RESIZE = 1 << 7;
        /// The content of a section can change, through this handle or another one, because no seal
        /// forbids it. A maximum that has `WRITE` allows this too.
        const CHANGE = 1 << 8;
    }
}

impl Rights {
    /// Returns the right with this name, as written in an interface: `read`.
    pub fn from_word(word: &str) -> Option<Self> {
        flag_names::find(word)
    }
}

/// Writes the names with `|` between them, as in an interface; `no rights` for the empty set.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_empty() {
            true => f.write_str("no rights"),
            false => flag_names::write(self, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_display_as_an_interface_writes_them() {
        assert_eq!((Rights::READ | Rights::WRITE).to_string(), "read | write");
        assert_eq!(Rights::from_word("append"), Some(Rights::APPEND));
        assert_eq!(Rights::from_word("APPEND"), None);
    }
}
