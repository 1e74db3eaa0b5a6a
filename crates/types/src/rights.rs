//! The rights of a handle.

use std::fmt;

use crate::flag_names;

bitflags::bitflags! {
    /// The operations that a handle permits.
    ///
    /// Whether a right is enforced depends on the kind. For example, the kernel rejects a write to
    /// a file that was opened for reading, and a seal prevents writes to a section, but nothing
    /// prevents the holder of an event from signalling it. The documentation of each kind describes
    /// the enforcement. The bits are part of the wire format and never change.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Rights: u32 {
        /// Permits reading data and listing a directory.
        const READ = 1 << 0;
        /// Permits writing data anywhere in the object. No directory has this right, because
        /// changing a directory depends on the permissions of the process.
        const WRITE = 1 << 1;
        /// Permits appending data. Without `WRITE`, the restriction to the end is advisory: any
        /// holder can clear `O_APPEND`.
        const APPEND = 1 << 2;
        /// Permits setting an event, releasing a semaphore, and sending a signal to a process.
        const SIGNAL = 1 << 3;
        /// Permits waiting for the object.
        const WAIT = 1 << 4;
        /// Permits mapping the object into memory.
        const MAP = 1 << 5;
        /// Permits adding seals to a section.
        const SEAL = 1 << 6;
        /// States that the size of a section can change, through this handle or another one,
        /// because no seal forbids it.
        const RESIZE = 1 << 7;
        /// States that the content of a section can change, through this handle or another one,
        /// because no seal forbids it. A declared maximum with `WRITE` also permits this right.
        const CHANGE = 1 << 8;
    }
}

impl Rights {
    /// Returns the right with this name, as written in an interface: `read`.
    pub fn from_word(word: &str) -> Option<Self> {
        flag_names::find(word)
    }
}

/// Writes the names with `|` between them, as in an interface. Writes `no rights` for the empty
/// set.
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
