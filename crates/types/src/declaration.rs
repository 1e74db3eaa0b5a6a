//! Declarations of handles in an interface, and the error for a received handle that does not
//! match.

use std::fmt;

use crate::{Facts, Files, Kind, Kinds, Object, Rights, Sockets};

/// The declaration of one handle in an interface: its kind or kinds, and limits on its rights.
///
/// ```
/// use syshandle_types::{Declaration, Kind, Rights, Sockets};
///
/// const LOG: Declaration = Declaration::kind(Kind::File).at_least(Rights::APPEND);
/// const STREAM: Declaration = Declaration::socket(Sockets::UNIX_STREAM.union(Sockets::TCP_STREAM));
/// # assert_eq!(LOG.to_string(), "file (append)");
/// # assert_eq!(STREAM.to_string(), "socket (unix_stream | tcp_stream)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Declaration {
    /// The handle must be of one of these kinds.
    pub kinds: Kinds,
    /// The handle must have these rights.
    pub at_least: Rights,
    /// The handle must have no other rights than these, if `Some`.
    pub at_most: Option<Rights>,
    /// A socket must be of one of these types, if `Some`.
    pub sockets: Option<Sockets>,
    /// A file must be of one of these types, if `Some`.
    pub files: Option<Files>,
}

impl Declaration {
    /// Declares a handle of one of these kinds, with any rights.
    pub const fn new(kinds: Kinds) -> Self {
        Self { kinds, at_least: Rights::empty(), at_most: None, sockets: None, files: None }
    }

    /// Declares a handle of this kind, with any rights.
    pub const fn kind(kind: Kind) -> Self {
        Self::new(Kinds::of(kind))
    }

    /// Declares a socket of one of these types.
    pub const fn socket(sockets: Sockets) -> Self {
        Self::kind(Kind::Socket).sockets(sockets)
    }

    /// Restricts sockets to these types.
    #[must_use]
    pub const fn sockets(mut self, sockets: Sockets) -> Self {
        self.sockets = Some(sockets);
        self
    }

    /// Restricts files to these types.
    #[must_use]
    pub const fn files(mut self, files: Files) -> Self {
        self.files = Some(files);
        self
    }

    /// Requires these rights.
    #[must_use]
    pub const fn at_least(mut self, rights: Rights) -> Self {
        self.at_least = rights;
        self
    }

    /// Forbids all rights except these.
    #[must_use]
    pub const fn at_most(mut self, rights: Rights) -> Self {
        self.at_most = Some(rights);
        self
    }

    /// Combines two declarations, for example the declarations of a parameter and of its type. A
    /// handle must match both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            kinds: Kinds::from_bits_truncate(self.kinds.bits() & other.kinds.bits()),
            at_least: self.at_least.union(other.at_least),
            at_most: match (self.at_most, other.at_most) {
                (Some(a), Some(b)) => Some(a.intersection(b)),
                (Some(most), None) | (None, Some(most)) => Some(most),
                (None, None) => None,
            },
            sockets: match (self.sockets, other.sockets) {
                (Some(a), Some(b)) => Some(a.intersection(b)),
                (Some(sockets), None) | (None, Some(sockets)) => Some(sockets),
                (None, None) => None,
            },
            files: match (self.files, other.files) {
                (Some(a), Some(b)) => Some(a.intersection(b)),
                (Some(files), None) | (None, Some(files)) => Some(files),
                (None, None) => None,
            },
        }
    }

    const fn allows_no_file(&self) -> bool {
        matches!(self.files, Some(files) if files.is_empty())
    }

    /// Returns the reason why no handle can match this declaration, or `None` if a handle can. For
    /// example, the declaration requires a right that no handle of its kinds has.
    pub const fn contradiction(&self) -> Option<&'static str> {
        let socket_alone = matches!(self.kinds.only(), Some(Kind::Socket));
        let file_alone = matches!(self.kinds.only(), Some(Kind::File));
        match (self.sockets, self.at_most) {
            _ if file_alone && self.allows_no_file() => {
                Some("a file of the declared sort can't be of this type")
            }
            _ if self.kinds.bits() == 0 => {
                Some("a handle of the declared kind can't be of this type")
            }
            (Some(sorts), _) if socket_alone && sorts.is_empty() => {
                Some("a socket of the declared sort can't be of this type")
            }
            _ if !self.kinds.rights().contains(self.at_least) => {
                Some("a right is declared that no handle of this kind has")
            }
            (_, Some(most)) if !most.contains(self.at_least) => {
                Some("a right is wanted, by the declaration or by the type, that `at_most` forbids")
            }
            _ => None,
        }
    }

    /// Checks the kernel's facts about a handle against the declaration.
    ///
    /// # Errors
    /// [`Mismatch`], with the declared and the received properties.
    pub fn check(&self, facts: &Facts) -> Result<(), Mismatch> {
        let other_files = self.files.filter(|files| !is_right_file(*files, facts.object));
        let expected = match other_files {
            _ if !facts.object.is_one_of(self.kinds) => Requirement::Kind(self.kinds),
            Some(files) => Requirement::Files(files),
            None => match (self.sockets, self.at_most) {
                (Some(sockets), _) if !is_right_socket(sockets, facts.object) => {
                    Requirement::Sockets(sockets)
                }
                _ if !facts.rights.contains(self.at_least) => Requirement::Rights(self.at_least),
                (_, Some(most)) if !allows(most, facts.rights) => Requirement::NoMoreThan(most),
                _ => return Ok(()),
            },
        };
        Err(Mismatch { expected, received: *facts })
    }
}

impl Declaration {
    /// Returns whether facts that were determined earlier still decide about this declaration, which
    /// they match. `false` means that the declaration refers to a fact that can change:
    ///
    /// - the sort of a socket, which can begin to listen;
    /// - whether a file that was opened for writing appends (`O_APPEND`), which any holder sets;
    /// - rights that a seal takes away from memory.
    ///
    /// The other facts never change: the kind, the access mode, the seals that exist.
    #[doc(hidden)]
    pub fn is_settled_by(&self, facts: &Facts) -> bool {
        if facts.object.is(Kind::Socket) {
            return self.sockets.is_none();
        }
        let changing = match facts.object {
            Object::RegularFile
            | Object::SpecialFile
            | Object::Device
            | Object::Pipe
            | Object::Composition => APPENDING,
            Object::Memory => APPENDING | Rights::SEAL | Rights::RESIZE | Rights::CHANGE,
            _ => return true,
        };
        // Without write access, no flag gives or takes a right.
        let may_change = changing.intersection(facts.rights);
        let is_limited =
            |most: Rights| may_change.intersects(APPENDING) && !most.contains(APPENDING);
        !self.at_least.intersects(may_change) && !self.at_most.is_some_and(is_limited)
    }
}

/// The rights that the flag `O_APPEND` affects.
const APPENDING: Rights = Rights::WRITE.union(Rights::APPEND);

/// Returns `true` for an object that is not a socket.
fn is_right_socket(sockets: Sockets, object: Object) -> bool {
    !object.is(Kind::Socket) || sockets.include(object)
}

/// Returns `true` for an object that is not a file.
fn is_right_file(files: Files, object: Object) -> bool {
    !object.is(Kind::File) || files.include(object)
}

/// Returns whether all `rights` are in `most`. `WRITE` in `most` also permits `CHANGE`.
fn allows(most: Rights, rights: Rights) -> bool {
    match most.contains(Rights::WRITE) {
        true => most.union(Rights::CHANGE).contains(rights),
        false => most.contains(rights),
    }
}

/// Writes the declaration as in an interface: `file (read | write)`.
impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kinds)?;
        if let Some(sockets) = self.sockets {
            write!(f, " ({sockets})")?;
        }
        if let Some(files) = self.files {
            write!(f, " ({files})")?;
        }
        match (self.at_least.is_empty(), self.at_most) {
            (true, None) => Ok(()),
            (false, None) => write!(f, " ({})", self.at_least),
            (true, Some(most)) => write!(f, " (at most {most})"),
            (false, Some(most)) => write!(f, " ({}, at most {most})", self.at_least),
        }
    }
}

/// The error for a received handle that does not match its declaration.
// Not `non_exhaustive`, because implementations of `Prove` in other crates construct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mismatch {
    /// The part of the declaration that the handle does not match.
    pub expected: Requirement,
    /// The facts of the received handle.
    pub received: Facts,
}

/// The part of a declaration that a handle does not match.
// Not `non_exhaustive`, because a new variant needs a new number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// The handle is of none of these kinds.
    Kind(Kinds),
    /// The handle is a socket of none of these types.
    Sockets(Sockets),
    /// The handle is a file of none of these types.
    Files(Files),
    /// The handle lacks some of these rights.
    Rights(Rights),
    /// The handle has rights other than these.
    NoMoreThan(Rights),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = &self.received;
        match self.expected {
            Requirement::Kind(kinds) => {
                let article = if kinds.iter().next() == Some(Kind::Event) { "an" } else { "a" };
                write!(f, "expected {article} {kinds}, got {}", received.object)
            }
            Requirement::Sockets(sockets) => {
                write!(f, "expected a socket ({sockets}), got {}", received.object)
            }
            Requirement::Files(files) => {
                write!(f, "expected a file ({files}), got {}", received.object)
            }
            Requirement::Rights(rights) => {
                write!(f, "expected {rights}, got {} with {}", received.object, received.rights)
            }
            Requirement::NoMoreThan(rights)
                if received.object == Object::Memory
                    && received.rights.difference(rights) == Rights::RESIZE =>
            {
                f.write_str(
                    "expected memory of a fixed size, got memory whose size isn't sealed (F_SEAL_SHRINK \
                     and F_SEAL_GROW)",
                )
            }
            Requirement::NoMoreThan(rights) => {
                write!(
                    f,
                    "expected no more than {rights}, got {} with {}",
                    received.object, received.rights
                )
            }
        }
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Facts = Facts { object: Object::RegularFile, rights: Rights::READ };

    #[test]
    fn the_right_kind_with_enough_rights_passes() {
        assert_eq!(Declaration::kind(Kind::File).at_least(Rights::READ).check(&FILE), Ok(()));
    }

    #[test]
    fn a_missing_right_says_wanted_and_got() {
        let declared = Declaration::kind(Kind::File).at_least(Rights::WRITE);
        let mismatch = declared.check(&FILE).unwrap_err();
        assert_eq!(mismatch.to_string(), "expected write, got a file with read");
    }

    #[test]
    fn a_wanted_kind_has_its_article() {
        let expected = |declared: Declaration| declared.check(&FILE).unwrap_err().to_string();
        assert_eq!(expected(Declaration::kind(Kind::Event)), "expected an event, got a file");
        let either = Kinds::of(Kind::Event).or(Kind::Timer);
        assert_eq!(expected(Declaration::new(either)), "expected an event | timer, got a file");
        assert_eq!(expected(Declaration::kind(Kind::Pipe)), "expected a pipe, got a file");
    }

    #[test]
    fn surplus_rights_are_refused_only_with_a_declared_maximum() {
        let both = Facts { rights: Rights::READ | Rights::WRITE, ..FILE };
        assert_eq!(Declaration::kind(Kind::File).check(&both), Ok(()));
        let most = Declaration::kind(Kind::File).at_most(Rights::READ);
        assert_eq!(most.check(&both).unwrap_err().expected, Requirement::NoMoreThan(Rights::READ));
    }

    #[test]
    fn a_declared_socket_type_restricts_sockets_only() {
        let socket = Facts { object: Object::UdpSocket, rights: Rights::READ };
        assert_eq!(Declaration::kind(Kind::Socket).check(&socket), Ok(()));
        let stream = Declaration::socket(Sockets::UNIX_STREAM);
        assert_eq!(
            stream.check(&socket).unwrap_err().expected,
            Requirement::Sockets(Sockets::UNIX_STREAM)
        );
        let either = Declaration::new(Kinds::of(Kind::File).or(Kind::Socket));
        assert_eq!(either.sockets(Sockets::UNIX_STREAM).check(&FILE), Ok(()));
    }

    #[test]
    fn a_declared_file_type_restricts_files_only() {
        let device = Facts { object: Object::Device, ..FILE };
        assert_eq!(Declaration::kind(Kind::File).check(&device), Ok(()));
        let regular = Declaration::kind(Kind::File).files(Files::REGULAR);
        assert_eq!(regular.check(&FILE), Ok(()));
        let mismatch = regular.check(&device).unwrap_err();
        assert_eq!(mismatch.to_string(), "expected a file (regular), got a device");
        let either = Declaration::new(Kinds::of(Kind::File).or(Kind::Pipe)).files(Files::REGULAR);
        assert_eq!(either.check(&Facts { object: Object::Pipe, ..FILE }), Ok(()));
        assert!(
            regular
                .and(Declaration::kind(Kind::File).files(Files::DEVICE))
                .contradiction()
                .is_some()
        );
    }

    #[test]
    fn a_parameter_declares_within_what_its_type_declares() {
        let stream = Declaration::socket(Sockets::UNIX_STREAM);
        let both = Declaration::kind(Kind::Socket).at_least(Rights::READ).and(stream);
        assert_eq!(both, stream.at_least(Rights::READ));
        let most = Declaration::new(Kinds::ANY).at_most(Rights::READ | Rights::WRITE);
        let narrower = most.and(Declaration::kind(Kind::File).at_most(Rights::READ | Rights::SEAL));
        assert_eq!(narrower, Declaration::kind(Kind::File).at_most(Rights::READ));
        assert_eq!(narrower.and(stream).kinds, Kinds::NONE);
    }

    #[test]
    fn a_declaration_that_needs_no_changing_fact_is_settled() {
        let facts = |object, rights| Facts { object, rights };
        let (read, write) = (Rights::READ, Rights::READ | Rights::WRITE | Rights::APPEND);
        let file = Declaration::kind(Kind::File);
        let of_file = |rights| facts(Object::RegularFile, rights);
        for (declared, facts, is_settled) in [
            (file, of_file(write), true),
            (file.at_least(read), of_file(write), true),
            (file.at_least(Rights::WRITE), of_file(write), false),
            (file.at_least(Rights::APPEND), of_file(Rights::APPEND), false),
            (file.at_most(read), of_file(read), true),
            (file.at_most(Rights::APPEND), of_file(Rights::APPEND), false),
            (file.at_most(write), of_file(write), true),
            (Declaration::kind(Kind::Event), facts(Object::Event, Rights::WAIT), true),
            (Declaration::kind(Kind::Socket), facts(Object::UnixStream, write), true),
            (Declaration::socket(Sockets::UNIX_STREAM), facts(Object::UnixStream, write), false),
        ] {
            assert_eq!(declared.is_settled_by(&facts), is_settled, "{declared}, {facts:?}");
        }
        let section = Declaration::kind(Kind::Section);
        let frozen = facts(Object::Memory, read | Rights::MAP);
        assert!(section.at_most(read | Rights::MAP).is_settled_by(&frozen));
        let open = facts(Object::Memory, write | Rights::MAP | Rights::SEAL | Rights::CHANGE);
        assert!(section.at_least(read).is_settled_by(&open));
        for right in [Rights::SEAL, Rights::CHANGE, Rights::WRITE] {
            assert!(!section.at_least(right).is_settled_by(&open), "{right}");
        }
    }

    #[test]
    fn a_maximum_with_write_allows_the_content_to_change() {
        let writable = Rights::READ | Rights::WRITE | Rights::MAP;
        let facts = Facts { object: Object::Memory, rights: writable | Rights::CHANGE };
        let section = Declaration::kind(Kind::Section);
        assert_eq!(section.at_most(writable).check(&facts), Ok(()));
        assert!(section.at_most(Rights::READ | Rights::MAP).check(&facts).is_err());
    }
}
