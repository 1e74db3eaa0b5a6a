//! The Windows objects that a handle may refer to, and the kinds that each counts as.

use std::fmt;

use crate::{Kind, Kinds};

/// The Windows objects that a handle may refer to, as far as kinds distinguish them.
///
/// [`Object::kinds`] maps each object to the kinds it counts as. The discriminants travel in errors
/// and never change. Objects with the same meaning on Linux have the same discriminants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Object {
    /// An object without a kind: a completion port, a desktop, a symbolic link.
    Other = 0,
    /// A file of a file system.
    RegularFile = 1,
    /// A character device.
    Device = 2,
    /// A directory.
    Directory = 3,
    /// An end of a pipe.
    Pipe = 5,
    /// A socket of a family or type without a variant here.
    Socket = 6,
    /// An event (`Event`).
    Event = 7,
    /// A semaphore (`Semaphore`).
    Semaphore = 8,
    /// A waitable timer (`Timer`).
    Timer = 9,
    /// A section (`Section`), also called file mapping.
    Memory = 10,
    /// A process (`Process`).
    Process = 11,
    /// A thread (`Thread`).
    Thread = 12,
    /// An access token (`Token`).
    Token = 13,
    /// A job (`Job`).
    Job = 14,
    /// A surface of DirectComposition.
    Composition = 15,
    /// A mutex (`Mutant`).
    Mutex = 16,
    /// A stream socket of the family `AF_UNIX`.
    UnixStream = 18,
    /// A listening stream socket of the family `AF_UNIX`.
    UnixListener = 19,
    /// A stream socket of the families `AF_INET` and `AF_INET6`.
    TcpStream = 23,
    /// A listening stream socket of the families `AF_INET` and `AF_INET6`.
    TcpListener = 24,
    /// A datagram socket of the families `AF_INET` and `AF_INET6`.
    UdpSocket = 25,
    /// A key of the registry (`Key`).
    Key = 28,
}

impl Object {
    /// All objects, in the order of their numbers.
    pub const ALL: [Self; 22] = [
        Self::Other,
        Self::RegularFile,
        Self::Device,
        Self::Directory,
        Self::Pipe,
        Self::Socket,
        Self::Event,
        Self::Semaphore,
        Self::Timer,
        Self::Memory,
        Self::Process,
        Self::Thread,
        Self::Token,
        Self::Job,
        Self::Composition,
        Self::Mutex,
        Self::UnixStream,
        Self::UnixListener,
        Self::TcpStream,
        Self::TcpListener,
        Self::UdpSocket,
        Self::Key,
    ];

    /// Returns the kinds that this object counts as: one or none.
    pub const fn kinds(self) -> Kinds {
        Kinds::of(match self {
            Self::Other => return Kinds::NONE,
            Self::RegularFile | Self::Device => Kind::File,
            Self::Directory => Kind::Directory,
            Self::Pipe => Kind::Pipe,
            Self::Socket
            | Self::UnixStream
            | Self::UnixListener
            | Self::TcpStream
            | Self::TcpListener
            | Self::UdpSocket => Kind::Socket,
            Self::Event => Kind::Event,
            Self::Semaphore => Kind::Semaphore,
            Self::Timer => Kind::Timer,
            Self::Memory => Kind::Section,
            Self::Process => Kind::Process,
            Self::Thread => Kind::Thread,
            Self::Token => Kind::Token,
            Self::Job => Kind::Job,
            Self::Composition => Kind::Composition,
            Self::Mutex => Kind::Mutex,
            Self::Key => Kind::RegKey,
        })
    }

    /// Returns whether this object counts as the kind.
    pub const fn is(self, kind: Kind) -> bool {
        self.kinds().contains(kind)
    }

    /// Returns whether this object counts as one of the kinds.
    pub const fn is_one_of(self, kinds: Kinds) -> bool {
        self.kinds().bits() & kinds.bits() != 0
    }
}

/// Writes the name with its article, for the middle of a sentence: `a pipe`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "an object without a kind",
            Self::RegularFile => "a file",
            Self::Device => "a device",
            Self::Directory => "a directory",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Event => "an event",
            Self::Semaphore => "a semaphore",
            Self::Timer => "a timer",
            Self::Memory => "a section",
            Self::Process => "a process",
            Self::Thread => "a thread",
            Self::Token => "a token",
            Self::Job => "a job",
            Self::Composition => "a composition",
            Self::Mutex => "a mutex",
            Self::UnixStream => "a unix stream socket",
            Self::UnixListener => "a unix listener",
            Self::TcpStream => "a tcp stream",
            Self::TcpListener => "a tcp listener",
            Self::UdpSocket => "a udp socket",
            Self::Key => "a registry key",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_object_and_every_object_its_own_number() {
        for kind in Kind::ALL {
            assert!(Object::ALL.into_iter().any(|object| object.is(kind)), "{kind}");
        }
        for pair in Object::ALL.windows(2) {
            assert!((pair[0] as u8) < pair[1] as u8);
        }
    }
}
