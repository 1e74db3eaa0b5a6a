//! The objects that a handle may refer to, and the facts from the kernel about a handle.

use std::fmt;

use crate::{Kind, Kinds, Rights};

/// The facts from the kernel about a handle: its object and its rights.
// Exhaustive: programs make it, to compare with a declaration and in fakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The object that the handle refers to.
    pub object: Object,
    /// The rights that the handle carries.
    pub rights: Rights,
}

/// The kernel objects that a handle may refer to, as far as kinds distinguish them.
///
/// [`Object::kinds`] maps each object to the kinds it counts as. A variant that exists on one system
/// only says so: a proof on the other system never returns it, but an error from a peer may name it.
/// The discriminants travel on the wire, in errors, and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Object {
    /// An object without a kind: on Linux an epoll, a signalfd or another namespace, on Windows a
    /// completion port, a desktop or a symbolic link.
    Other = 0,
    /// A regular file of a file system.
    RegularFile = 1,
    /// A character device, or on Linux a block device.
    Device = 2,
    /// A directory.
    Directory = 3,
    /// A descriptor that only names a place (`O_PATH`) and gives no access. Linux only.
    PathOnly = 4,
    /// An end of a pipe, or on Linux of a FIFO.
    Pipe = 5,
    /// A socket of a family or type without a variant here, or whose family and type were not
    /// queried.
    Socket = 6,
    /// An eventfd, or an event of Windows (`Event`).
    Event = 7,
    /// An eventfd that counts down (`EFD_SEMAPHORE`), or a semaphore of Windows (`Semaphore`).
    Semaphore = 8,
    /// A timerfd, or a waitable timer of Windows (`Timer`).
    Timer = 9,
    /// Memory made by `memfd_create`, or a section of Windows (`Section`), also called file mapping.
    Memory = 10,
    /// A pidfd of a process, or a process of Windows (`Process`).
    Process = 11,
    /// A pidfd of a thread (`PIDFD_THREAD`), or a thread of Windows (`Thread`).
    Thread = 12,
    /// A user namespace, or an access token of Windows (`Token`).
    Token = 13,
    /// A directory of the control group file system, version 2, or a job of Windows (`Job`).
    Job = 14,
    /// A dma-buf, or a surface of DirectComposition.
    Composition = 15,
    /// Memory that holds a mutex, or a mutex of Windows (`Mutant`).
    Mutex = 16,
    /// A file on a file system that isn't trusted to answer. Linux only.
    Unjudged = 17,
    /// A stream socket of the family `AF_UNIX`.
    UnixStream = 18,
    /// A listening stream socket of the family `AF_UNIX`.
    UnixListener = 19,
    /// A datagram socket of the family `AF_UNIX`. Linux only.
    UnixDatagram = 20,
    /// A socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET`. Linux only.
    Seqpacket = 21,
    /// A listening socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET`. Linux only.
    SeqpacketListener = 22,
    /// A stream socket of the families `AF_INET` and `AF_INET6`.
    TcpStream = 23,
    /// A listening stream socket of the families `AF_INET` and `AF_INET6`.
    TcpListener = 24,
    /// A datagram socket of the families `AF_INET` and `AF_INET6`.
    UdpSocket = 25,
    /// A stream socket between a virtual machine and its host (`AF_VSOCK`). Linux only.
    VsockStream = 26,
    /// A listening stream socket of the family `AF_VSOCK`. Linux only.
    VsockListener = 27,
    /// A key of the registry (`Key`). Windows only.
    RegistryKey = 28,
    /// A file whose content the kernel generates, as in `/proc` and `/sys`. Linux only.
    SpecialFile = 29,
}

impl Object {
    /// All objects, in the order of their numbers.
    pub const ALL: [Self; 30] = [
        Self::Other,
        Self::RegularFile,
        Self::Device,
        Self::Directory,
        Self::PathOnly,
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
        Self::Unjudged,
        Self::UnixStream,
        Self::UnixListener,
        Self::UnixDatagram,
        Self::Seqpacket,
        Self::SeqpacketListener,
        Self::TcpStream,
        Self::TcpListener,
        Self::UdpSocket,
        Self::VsockStream,
        Self::VsockListener,
        Self::RegistryKey,
        Self::SpecialFile,
    ];

    /// Returns the kinds that this object counts as: one for most objects, none for some. On Linux a
    /// directory is also a key, and a job is also both.
    pub const fn kinds(self) -> Kinds {
        Kinds::of(match self {
            Self::Other | Self::PathOnly | Self::Unjudged => return Kinds::NONE,
            Self::RegularFile | Self::SpecialFile | Self::Device => Kind::File,
            // The keys of the registry are directories on Linux, and so are jobs.
            Self::Directory if cfg!(not(windows)) => {
                return Kinds::of(Kind::Directory).or(Kind::RegKey);
            }
            Self::Job if cfg!(not(windows)) => {
                return Kinds::of(Kind::Job).or(Kind::Directory).or(Kind::RegKey);
            }
            Self::Directory => Kind::Directory,
            Self::Job => Kind::Job,
            Self::Pipe => Kind::Pipe,
            Self::Socket
            | Self::UnixStream
            | Self::UnixListener
            | Self::UnixDatagram
            | Self::Seqpacket
            | Self::SeqpacketListener
            | Self::TcpStream
            | Self::TcpListener
            | Self::UdpSocket
            | Self::VsockStream
            | Self::VsockListener => Kind::Socket,
            Self::Event => Kind::Event,
            Self::Semaphore => Kind::Semaphore,
            Self::Timer => Kind::Timer,
            Self::Memory => Kind::Section,
            Self::Mutex => Kind::Mutex,
            Self::Process => Kind::Process,
            Self::Thread => Kind::Thread,
            Self::Token => Kind::Token,
            Self::Composition => Kind::Composition,
            Self::RegistryKey => Kind::RegKey,
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

    /// Returns whether closing the last handle to this object can block.
    ///
    /// The objects that can't block belong to the kernel alone and to no mount, their memory has a
    /// small fixed size, and no driver, file system or peer takes part in their release. Handles to
    /// all others, if an untrusted peer sent them, must be closed in the background.
    /// `docs/kinds.md` gives the reason for each. This is about Linux: on Windows the runtime closes
    /// all handles at once.
    pub const fn close_may_block(self) -> bool {
        !matches!(self, Self::Event | Self::Semaphore | Self::Timer | Self::Process | Self::Thread)
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
            Self::PathOnly => "a path without access (O_PATH)",
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
            Self::Unjudged => "a file on a file system that isn't trusted",
            Self::UnixStream => "a unix stream socket",
            Self::UnixListener => "a unix listener",
            Self::UnixDatagram => "a unix datagram socket",
            Self::Seqpacket => "a seqpacket socket",
            Self::SeqpacketListener => "a seqpacket listener",
            Self::TcpStream => "a tcp stream",
            Self::TcpListener => "a tcp listener",
            Self::UdpSocket => "a udp socket",
            Self::VsockStream => "a vsock stream",
            Self::VsockListener => "a vsock listener",
            Self::RegistryKey => "a registry key",
            Self::SpecialFile => "a special file, whose content the kernel makes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_its_own_number() {
        for pair in Object::ALL.windows(2) {
            assert!((pair[0] as u8) < pair[1] as u8);
        }
    }

    #[test]
    fn every_kind_has_an_object() {
        for kind in Kind::ALL {
            assert!(Object::ALL.into_iter().any(|object| object.is(kind)), "{kind}");
        }
    }
}
