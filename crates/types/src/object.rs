//! Kernel objects that a handle may refer to, and the facts that the kernel reports about a handle.

use std::fmt;

use crate::{Kind, Kinds, Rights};

/// The facts that the kernel reports about a handle: its object and its rights.
// Not `non_exhaustive`, so that programs can check made-up facts against a declaration, for example
// in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The object that the handle refers to.
    pub object: Object,
    /// The rights that the handle carries.
    pub rights: Rights,
}

/// The types of kernel objects that a proof distinguishes.
///
/// [`Object::kinds`] maps each object to its kinds. The documentation of a variant says if it
/// exists on one system only. A proof on the other system never returns such a variant, but an
/// error from a peer may contain it. The discriminants are part of the wire format and never
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Object {
    /// An object without a kind. Examples are an epoll instance, a signalfd or a mount namespace on
    /// Linux, and a completion port, a desktop or a symbolic link on Windows.
    Other = 0,
    /// A regular file in a file system.
    RegularFile = 1,
    /// A character device, or on Linux a block device.
    Device = 2,
    /// A directory.
    Directory = 3,
    /// A descriptor that was opened with `O_PATH`: it identifies a file but gives no access to it.
    /// Linux only.
    PathOnly = 4,
    /// An end of a pipe. On Linux, also an open FIFO.
    Pipe = 5,
    /// A socket whose family and type have no variant here, or were not queried.
    Socket = 6,
    /// An eventfd, or a Windows event (object type `Event`).
    Event = 7,
    /// An eventfd with `EFD_SEMAPHORE`, or a Windows semaphore (object type `Semaphore`).
    Semaphore = 8,
    /// A timerfd, or a Windows waitable timer (object type `Timer`).
    Timer = 9,
    /// Memory created by `memfd_create`, or a Windows section (object type `Section`), also called
    /// file mapping.
    Memory = 10,
    /// A pidfd of a process, or a Windows process (object type `Process`).
    Process = 11,
    /// A pidfd of a thread (`PIDFD_THREAD`), or a Windows thread (object type `Thread`).
    Thread = 12,
    /// A user namespace, or a Windows access token (object type `Token`).
    Token = 13,
    /// A directory of the cgroup v2 file system, or a Windows job (object type `Job`).
    Job = 14,
    /// A dma-buf, or a DirectComposition surface.
    Composition = 15,
    /// Memory that contains a mutex, or a Windows mutex (object type `Mutant`).
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
    /// A registry key (object type `Key`). Windows only.
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

    /// Returns the kinds of this object. Most objects have one kind, and some have none. On Linux a
    /// directory is also a registry key, and a job is also a directory and a registry key.
    pub const fn kinds(self) -> Kinds {
        Kinds::of(match self {
            Self::Other | Self::PathOnly | Self::Unjudged => return Kinds::NONE,
            Self::RegularFile | Self::SpecialFile | Self::Device => Kind::File,
            // On Linux, directories serve as registry keys, and a job is a directory.
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

    /// Returns whether this object is of the kind.
    pub const fn is(self, kind: Kind) -> bool {
        self.kinds().contains(kind)
    }

    /// Returns whether this object is of one of the kinds.
    pub const fn is_one_of(self, kinds: Kinds) -> bool {
        self.kinds().bits() & kinds.bits() != 0
    }

    /// Returns whether closing the last handle to this object can block.
    ///
    /// For an object of which this returns `false`, the kernel alone is involved in the release: it
    /// belongs to no mount, its memory has a small fixed size, and no driver, file system or peer
    /// takes part. If an untrusted peer sent a handle to any other object, close it in the
    /// background. `docs/kinds.md` gives the reason for each object. The result is only relevant on
    /// Linux, because the runtime closes all handles at once on Windows.
    pub const fn close_may_block(self) -> bool {
        !matches!(self, Self::Event | Self::Semaphore | Self::Timer | Self::Process | Self::Thread)
    }
}

/// Writes the name with its indefinite article, for use in a sentence: `a pipe`.
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
