//! The kinds of kernel objects.

use std::fmt;

use crate::Rights;

/// The kind of object that a handle refers to.
///
/// The first thirteen kinds come from MIDL's `system_handle` attribute
/// ([reference](https://learn.microsoft.com/windows/win32/midl/system-handle)). The last two are
/// additions of syshandle. The discriminants are part of the wire format and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// An open file or device (`sh_file`).
    File = 0,
    /// A semaphore (`sh_semaphore`).
    Semaphore = 1,
    /// An event (`sh_event`).
    Event = 2,
    /// A mutex (`sh_mutex`).
    Mutex = 3,
    /// A process (`sh_process`).
    Process = 4,
    /// An access token, which a user namespace represents on Linux (`sh_token`).
    Token = 5,
    /// A shared memory section (`sh_section`).
    Section = 6,
    /// A key in a hierarchy of names, which is a directory on Linux (`sh_reg_key`).
    RegKey = 7,
    /// A thread (`sh_thread`).
    Thread = 8,
    /// A graphics buffer shared with the compositor (`sh_composition`).
    Composition = 9,
    /// A socket (`sh_socket`).
    Socket = 10,
    /// A job, which a control group represents on Linux (`sh_job`).
    Job = 11,
    /// An end of a pipe (`sh_pipe`).
    Pipe = 12,
    /// A directory; not in MIDL.
    Directory = 13,
    /// A timer; not in MIDL.
    Timer = 14,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::File,
        Self::Semaphore,
        Self::Event,
        Self::Mutex,
        Self::Process,
        Self::Token,
        Self::Section,
        Self::RegKey,
        Self::Thread,
        Self::Composition,
        Self::Socket,
        Self::Job,
        Self::Pipe,
        Self::Directory,
        Self::Timer,
    ];

    /// Returns the name as written in an interface, for example `file` or `reg_key`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Semaphore => "semaphore",
            Self::Event => "event",
            Self::Mutex => "mutex",
            Self::Process => "process",
            Self::Token => "token",
            Self::Section => "section",
            Self::RegKey => "reg_key",
            Self::Thread => "thread",
            Self::Composition => "composition",
            Self::Socket => "socket",
            Self::Job => "job",
            Self::Pipe => "pipe",
            Self::Directory => "directory",
            Self::Timer => "timer",
        }
    }

    /// Returns all rights that a handle of this kind can have. A declaration must not name any
    /// other right.
    pub const fn rights(self) -> Rights {
        const DATA: Rights = Rights::READ.union(Rights::WRITE);
        match self {
            Self::File | Self::Pipe => DATA.union(Rights::APPEND),
            Self::Socket => DATA,
            Self::Composition => DATA.union(Rights::MAP),
            Self::Section => Rights::all().difference(Rights::WAIT.union(Rights::SIGNAL)),
            Self::Directory | Self::RegKey | Self::Job | Self::Token => Rights::READ,
            Self::Event
            | Self::Semaphore
            | Self::Mutex
            | Self::Process
            | Self::Thread
            | Self::Timer => Rights::WAIT.union(Rights::SIGNAL),
        }
    }

    /// Returns the kind with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds. The declaration of a parameter names one kind or several.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u32);

impl Kinds {
    /// The empty set, which no handle matches.
    pub const NONE: Self = Self(0);

    /// The set of all kinds.
    pub const ANY: Self = Self((1 << Kind::ALL.len()) - 1);

    /// Returns the set that contains only this kind.
    pub const fn of(kind: Kind) -> Self {
        Self(1 << kind as u32)
    }

    /// Returns the set with this kind added.
    #[must_use]
    pub const fn or(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u32)
    }

    /// Returns whether the kind is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Returns the kind if the set contains exactly one.
    pub const fn only(self) -> Option<Kind> {
        match self.0.is_power_of_two() {
            true => Some(Kind::ALL[self.0.trailing_zeros() as usize]),
            false => None,
        }
    }

    /// Returns all rights that a handle of any of these kinds can have.
    pub const fn rights(self) -> Rights {
        let mut rights = Rights::empty();
        let mut number = 0;
        while number < Kind::ALL.len() {
            if self.contains(Kind::ALL[number]) {
                rights = rights.union(Kind::ALL[number].rights());
            }
            number += 1;
        }
        rights
    }

    /// Returns the kinds in the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    /// Returns the wire form of the set, in which bit N stands for the kind with the number N.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns the set with these bits, ignoring bits that stand for no known kind.
    pub const fn from_bits_truncate(bits: u32) -> Self {
        Self(bits & Self::ANY.0)
    }
}

/// For constants, use [`Kinds::or`].
impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::or)
    }
}

impl Extend<Kind> for Kinds {
    fn extend<I: IntoIterator<Item = Kind>>(&mut self, kinds: I) {
        *self = kinds.into_iter().fold(*self, Self::or);
    }
}

/// Writes the names: `Kinds(file | pipe)`.
impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kinds({self})")
    }
}

/// Writes the names with `|` between them, as in an interface.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("handle");
        }
        for (i, kind) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(kind.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place_and_its_name() {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn a_set_of_one_kind_has_only_that() {
        for kind in Kind::ALL {
            assert_eq!(Kinds::of(kind).only(), Some(kind));
        }
        assert_eq!(Kinds::ANY.only(), None);
        assert_eq!(Kinds::from_bits_truncate(0).only(), None);
    }

    #[test]
    fn a_set_displays_as_an_interface_writes_it() {
        let kinds = Kinds::of(Kind::File).or(Kind::Pipe);
        assert_eq!(kinds.to_string(), "file | pipe");
        assert_eq!(format!("{kinds:?} {:?}", Kinds::NONE), "Kinds(file | pipe) Kinds()");
    }
}
