//! `sendmsg` and `recvmsg` with descriptors, without a library.
#![expect(unsafe_code, reason = "the control buffer of a message is raw memory")]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Maximum number of descriptors per message (`SCM_MAX_FD`).
pub const DESCRIPTORS_MAX: usize = 253;

/// Collects received descriptors.
#[derive(Debug, Default)]
pub struct Descriptors(Vec<OwnedFd>);

#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_SIZE]);

// SAFETY: `CMSG_SPACE` only computes a number.
const CONTROL_SIZE: usize =
    unsafe { libc::CMSG_SPACE((DESCRIPTORS_MAX * size_of::<RawFd>()) as u32) } as usize;

impl Descriptors {
    /// Creates a list with capacity for the usual number.
    pub fn new() -> Self {
        Self(Vec::with_capacity(4))
    }

    /// Takes the first descriptor.
    ///
    /// # Errors
    /// There is no descriptor.
    pub fn take(&mut self) -> io::Result<OwnedFd> {
        match self.0.is_empty() {
            true => Err(io::Error::other("a descriptor is missing")),
            false => Ok(self.0.remove(0)),
        }
    }

    /// Closes all descriptors.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the number of descriptors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no descriptors.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sends one message.
///
/// # Errors
/// The errors of [`sendmsg(2)`](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
pub fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    flags: i32,
) -> io::Result<usize> {
    assert!(descriptors.len() <= DESCRIPTORS_MAX, "too many for one message");
    let mut control = Control([MaybeUninit::uninit(); CONTROL_SIZE]);
    // SAFETY: an all-zero `msghdr` is a valid empty message.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len();
    if !descriptors.is_empty() {
        let len = size_of_val(descriptors) as u32;
        message.msg_control = (&raw mut control).cast();
        // SAFETY: the macros only compute. The buffer is large enough for all descriptors, as
        // asserted above, and is aligned for the header. A `BorrowedFd` has the representation of a
        // `RawFd`.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(len) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as usize;
            let data = libc::CMSG_DATA(header).cast::<BorrowedFd<'_>>();
            data.copy_from_nonoverlapping(descriptors.as_ptr(), descriptors.len());
        }
    }
    // SAFETY: the message points to memory that lives until the call returns.
    let sent = unsafe {
        libc::sendmsg(socket.as_raw_fd(), &raw const message, flags | libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives one message, and appends its descriptors to `descriptors`.
///
/// # Errors
/// The errors of [`recvmsg(2)`](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
pub fn receive(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    descriptors: &mut Descriptors,
    flags: i32,
) -> io::Result<usize> {
    let mut control = Control([MaybeUninit::uninit(); CONTROL_SIZE]);
    // SAFETY: an all-zero `msghdr` is a valid empty message.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr().cast();
    message.msg_iovlen = parts.len();
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_SIZE;
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message points to memory that lives until the call returns.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    if message.msg_controllen > 0 {
        // SAFETY: the kernel has written complete headers, of which only the first is read. Each
        // descriptor after it is new and has no other owner.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            if !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS {
                let data_len = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for i in 0..data_len / size_of::<RawFd>() {
                    descriptors.0.push(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
                }
            }
        }
    }
    Ok(received)
}
