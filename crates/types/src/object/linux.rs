//! The Linux objects that a descriptor may refer to, and the kinds that each counts as.

use std::fmt;

use crate::{Kind, Kinds};

/// The Linux objects that a descriptor may refer to, as far as kinds distinguish them.
///
/// [`Object::kinds`] maps each object to the kinds it counts as. The discriminants travel on the
/// wire, in errors, and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Object {
    /// An object without a kind: an epoll, a signalfd, another namespace.
    Other = 0,
    /// A regular file of a mounted file system.
    RegularFile = 1,
    /// A character or block device.
    Device = 2,
    /// A directory.
    Directory = 3,
    /// A descriptor that only names a place (`O_PATH`) and gives no access.
    PathOnly = 4,
    /// An end of a pipe or FIFO.
    Pipe = 5,
    /// A socket of a family or type without a variant here, or whose family and type were not
    /// queried.
    Socket = 6,
    /// An eventfd.
    Eventfd = 7,
    /// An eventfd that counts down (`EFD_SEMAPHORE`).
    EventfdSemaphore = 8,
    /// A timerfd.
    Timerfd = 9,
    /// Memory made by `memfd_create`.
    Memory = 10,
    /// A pidfd of a process.
    Process = 11,
    /// A pidfd of a thread (`PIDFD_THREAD`).
    Thread = 12,
    /// A user namespace.
    UserNamespace = 13,
    /// A directory of the control group file system, version 2.
    ControlGroup = 14,
    /// A dma-buf.
    DeviceBuffer = 15,
    /// Memory that holds a mutex.
    Mutex = 16,
    /// A file on a file system that isn't trusted to answer.
    Unjudged = 17,
    /// A stream socket of the family `AF_UNIX`.
    UnixStream = 18,
    /// A listening stream socket of the family `AF_UNIX`.
    UnixListener = 19,
    /// A datagram socket of the family `AF_UNIX`.
    UnixDatagram = 20,
    /// A socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET`.
    Seqpacket = 21,
    /// A listening socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET`.
    SeqpacketListener = 22,
    /// A stream socket of the families `AF_INET` and `AF_INET6`.
    TcpStream = 23,
    /// A listening stream socket of the families `AF_INET` and `AF_INET6`.
    TcpListener = 24,
    /// A datagram socket of the families `AF_INET` and `AF_INET6`.
    UdpSocket = 25,
    /// A stream socket between a virtual machine and its host (`AF_VSOCK`).
    VsockStream = 26,
    /// A listening stream socket of the family `AF_VSOCK`.
    VsockListener = 27,
    /// A file whose content the kernel generates, as in `/proc` and `/sys`.
    SpecialFile = 29,
}

impl Object {
    /// All objects, in the order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::Other,
        Self::RegularFile,
        Self::Device,
        Self::Directory,
        Self::PathOnly,
        Self::Pipe,
        Self::Socket,
        Self::Eventfd,
        Self::EventfdSemaphore,
        Self::Timerfd,
        Self::Memory,
        Self::Process,
        Self::Thread,
        Self::UserNamespace,
        Self::ControlGroup,
        Self::DeviceBuffer,
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
        Self::SpecialFile,
    ];

    /// Returns the kinds that this object counts as: one for most objects, none for some.
    pub const fn kinds(self) -> Kinds {
        Kinds::of(match self {
            Self::Other | Self::PathOnly | Self::Unjudged => return Kinds::NONE,
            Self::RegularFile | Self::SpecialFile | Self::Device => Kind::File,
            Self::Directory => return Kinds::of(Kind::Directory).or(Kind::RegKey),
            Self::ControlGroup => {
                return Kinds::of(Kind::Job).or(Kind::Directory).or(Kind::RegKey);
            }
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
            Self::Eventfd => Kind::Event,
            Self::EventfdSemaphore => Kind::Semaphore,
            Self::Timerfd => Kind::Timer,
            Self::Memory => Kind::Section,
            Self::Mutex => Kind::Mutex,
            Self::Process => Kind::Process,
            Self::Thread => Kind::Thread,
            Self::UserNamespace => Kind::Token,
            Self::DeviceBuffer => Kind::Composition,
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
    /// `docs/kinds.md` gives the reason for each.
    pub const fn close_may_block(self) -> bool {
        !matches!(
            self,
            Self::Eventfd | Self::EventfdSemaphore | Self::Timerfd | Self::Process | Self::Thread
        )
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
            Self::Eventfd => "an event",
            Self::EventfdSemaphore => "a semaphore",
            Self::Timerfd => "a timer",
            Self::Memory => "a section",
            Self::Process => "a process",
            Self::Thread => "a thread",
            Self::UserNamespace => "a token",
            Self::ControlGroup => "a job",
            Self::DeviceBuffer => "a composition",
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
