//! What may be done with a handle.

use std::fmt;

bitflags::bitflags! {
    /// What may be done with a handle.
    ///
    /// How strongly a right is enforced depends on the kind: the kernel refuses a write on a file
    /// that was opened for reading, a seal refuses it on a section, and nothing at all keeps the
    /// holder of an event from signalling it. Each kind's page says which. The bits travel on the
    /// wire and never change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u32 {
        /// Read data; list a directory.
        const READ = 1 << 0;
        /// Write data at any place. No directory has it: what may be made there is decided by the
        /// permissions of whoever tries.
        const WRITE = 1 << 1;
        /// Write data at the end. That it can't be written elsewhere is advisory: any holder can
        /// take the flag off by which the kernel knows it (`O_APPEND`).
        const APPEND = 1 << 2;
        /// Signal an event, release a semaphore, send a signal to a process.
        const SIGNAL = 1 << 3;
        /// Wait for the object.
        const WAIT = 1 << 4;
        /// Map into memory.
        const MAP = 1 << 5;
        /// Add seals.
        const SEAL = 1 << 6;
        /// The size of a section can change, by this handle or by another: no seal is against it.
        const RESIZE = 1 << 7;
        /// The content of a section can change, by this handle or by another: no seal is against
        /// it. A maximum that has `WRITE` allows this too.
        const CHANGE = 1 << 8;
    }
}

impl Rights {
    /// The right with this name, as an interface writes it: `read`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::from_name(&word.to_ascii_uppercase())
            .filter(|_| word.chars().all(|c| c.is_ascii_lowercase()))
    }
}

/// The names with `|` between them, as an interface writes them; `no rights` for the empty set.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no rights");
        }
        for (i, (name, _)) in self.iter_names().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(&name.to_ascii_lowercase())?;
        }
        Ok(())
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
