//! `sendmsg` and `recvmsg`, which transfer descriptors and credentials in addition to bytes.
//!
//! A message that consists of one part without descriptors is sent by `sendto`, which needs no list
//! of parts and saves 0.2 µs.
//!
//! All calls use `syscall(2)`. The functions of the C library are thread cancellation points, which
//! doubles the time spent outside of the kernel.
#![expect(unsafe_code, reason = "the control buffer of a message is raw memory")]

use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::ReceivedMessage;

/// Maximum number of descriptors in one message, which is the kernel's limit (`SCM_MAX_FD`).
pub(crate) const DESCRIPTORS_MAX: usize = 253;

/// The control buffer of one message, aligned for the headers in it.
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [MaybeUninit<u8>; CONTROL_SIZE]);

/// The size of the control buffer. It holds all descriptors and every other control message that a
/// socket option can add.
///
/// Another holder of the socket can set such an option at any time. The kernel writes some of these
/// messages before the descriptors, and closes descriptors that don't fit.
// SAFETY: `CMSG_SPACE` is a pure computation.
pub(super) const CONTROL_SIZE: usize = unsafe {
    libc::CMSG_SPACE((DESCRIPTORS_MAX * size_of::<RawFd>()) as u32)
        + libc::CMSG_SPACE(size_of::<libc::ucred>() as u32)
        + libc::CMSG_SPACE(size_of::<RawFd>() as u32)
} as usize
    + OTHER_CONTROL_SIZE;

/// Space for a security label (`SO_PASSSEC`), timestamps, and other control messages without
/// descriptors.
const OTHER_CONTROL_SIZE: usize = 1024;

/// From `linux/socket.h` (Linux 6.5): a pidfd of the sender (`SO_PASSPIDFD`).
const SCM_PIDFD: libc::c_int = 4;

/// The types of control messages of level `SOL_SOCKET` that contain no descriptors, from
/// `linux/socket.h` and `asm-generic/socket.h`: a security label, timestamps in all forms, a mark,
/// a priority, counts of dropped and waiting messages, and reports of network devices.
const WITHOUT_DESCRIPTORS: [libc::c_int; 16] =
    [3, 12, 29, 35, 36, 37, 40, 41, 54, 58, 61, 63, 64, 65, 81, 84];

/// Sends one message with its descriptors. Does not wait for buffer space, and does not raise
/// `SIGPIPE`.
#[inline]
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    handles: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if handles.len() > DESCRIPTORS_MAX {
        let what = format!("a message has at most {DESCRIPTORS_MAX} handles");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if let ([piece], []) = (parts, handles) {
        return send_piece(socket, piece);
    }
    let mut control = Control([MaybeUninit::uninit(); CONTROL_SIZE]);
    let mut message = empty_message();
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len() as _;
    if !handles.is_empty() {
        let data_len = size_of_val(handles) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: `CMSG_SPACE` is a pure computation.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(data_len) } as _;
        // SAFETY: the control buffer has space for a header and `DESCRIPTORS_MAX` descriptors.
        let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
        let mut first = empty_header();
        // SAFETY: `CMSG_LEN` is a pure computation.
        first.cmsg_len = unsafe { libc::CMSG_LEN(data_len) } as _;
        first.cmsg_level = libc::SOL_SOCKET;
        first.cmsg_type = libc::SCM_RIGHTS;
        // SAFETY: the first header lies within the control buffer, which is aligned for it.
        unsafe { header.write(first) };
        // SAFETY: the data of the first header lies within the control buffer.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: a `BorrowedFd` has the layout of a `RawFd`, and there is space for `data_len`
        // bytes of them.
        unsafe { ptr::copy_nonoverlapping(handles.as_ptr().cast::<u8>(), data, data_len as usize) };
    }
    // SAFETY: every pointer of `message` refers to memory that lives until the call returns, and
    // the call doesn't write to it. The descriptors stay with their owners.
    uninterrupted(|| unsafe {
        libc::syscall(libc::SYS_sendmsg, socket.as_raw_fd(), &raw const message, SEND_FLAGS)
    })
}

/// Sends a message that consists of one part.
fn send_piece(socket: BorrowedFd<'_>, piece: &[u8]) -> io::Result<usize> {
    let (to, to_len) = (ptr::null::<libc::sockaddr>(), 0_usize);
    // SAFETY: the call reads the piece up to its length, and no other memory.
    uninterrupted(|| unsafe {
        let (socket, piece, len) = (socket.as_raw_fd(), piece.as_ptr(), piece.len());
        libc::syscall(libc::SYS_sendto, socket, piece, len, SEND_FLAGS, to, to_len)
    })
}

/// Repeats a call as long as a signal interrupts it (`EINTR`).
#[inline]
pub(super) fn uninterrupted(mut call: impl FnMut() -> libc::c_long) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) if interrupted() => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
}

/// Receives one message, and appends its descriptors to `handles`. They are close-on-exec.
///
/// Waits for a message only if `wait` is set, and at most for the socket's own timeout.
#[inline]
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    handles: &mut impl Extend<OwnedFd>,
    wait: bool,
) -> io::Result<ReceivedMessage> {
    match receive_once(socket, bytes, handles, wait)? {
        Some(received) => Ok(received),
        None => Ok(receive_after_end(socket, bytes, handles)),
    }
}

/// Receives a message after the kernel has reported the end of the stream. The kernel looks for a
/// message first, and then whether the peer has shut the connection down. So a peer that sends and
/// then shuts down in the meantime seems to have sent nothing.
#[cold]
fn receive_after_end(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    handles: &mut impl Extend<OwnedFd>,
) -> ReceivedMessage {
    let mut receive = || receive_once(socket, bytes, handles, false);
    let received = match receive() {
        // A peer that closes with unread messages causes this error, which the kernel reports once.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => receive(),
        received => received,
    };
    received.ok().flatten().unwrap_or_default()
}

/// Receives one message. Returns `None` at the end of the stream, and for a message without bytes
/// and control messages.
#[inline]
fn receive_once(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    handles: &mut impl Extend<OwnedFd>,
    wait: bool,
) -> io::Result<Option<ReceivedMessage>> {
    let mut control = Control([MaybeUninit::uninit(); CONTROL_SIZE]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message = empty_message();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_SIZE as _;
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    let len = loop {
        // SAFETY: every pointer of `message` refers to memory that lives until the call returns.
        // The call may write to it up to the accompanying lengths.
        let received = unsafe {
            libc::syscall(libc::SYS_recvmsg, socket.as_raw_fd(), &raw mut message, flags)
        };
        match usize::try_from(received) {
            Ok(len) => break len,
            // A caller that waits gets the `EINTR`, so that it can check its deadline.
            Err(_) if interrupted() && !wait => continue,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    };
    if is_end(&message, len) {
        return Ok(None);
    }
    // SAFETY: the kernel has just filled this message, and its descriptors are taken only once.
    Ok(Some(unsafe { take(&message, len, handles) }))
}

/// Returns whether the kernel has reported the end of the stream, or a message without bytes and
/// control messages.
#[inline]
pub(super) fn is_end(message: &libc::msghdr, len: usize) -> bool {
    len == 0 && message.msg_controllen == 0
}

/// Returns whether the queue is empty and the end of the stream is reached. Removes no message from
/// the queue. Requires `SO_PASSCRED`, which adds a control message to every message.
pub(crate) fn is_at_end(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut message = empty_message();
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: `message` lives until the call returns. It has no buffers, so the call writes nothing
    // else.
    let len = uninterrupted(|| unsafe {
        libc::syscall(libc::SYS_recvmsg, socket.as_raw_fd(), &raw mut message, flags)
    })?;
    // There is no control buffer, so the kernel reports the control message of any message as
    // truncated.
    let is_message = message.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0;
    Ok(len == 0 && !is_message)
}

/// Converts a received message of `len` bytes, and appends its descriptors to `handles`.
///
/// # Safety
/// The kernel must have filled `message` and its control buffer. Call this only once per message,
/// because the returned values become the owners of its descriptors.
#[inline(always)]
pub(super) unsafe fn take(
    message: &libc::msghdr,
    len: usize,
    handles: &mut impl Extend<OwnedFd>,
) -> ReceivedMessage {
    let mut received = ReceivedMessage {
        len,
        bytes_truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        handles_truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
        ..ReceivedMessage::default()
    };
    // SAFETY: the kernel has filled the control buffer and stored its length in the message.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: a header that is not null lies within the control buffer.
    while let Some(fields) = unsafe { header.as_ref() } {
        let cmsg_len: usize = fields.cmsg_len as _;
        // SAFETY: the header lies within the control buffer, and so does its data.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: `CMSG_LEN` is a pure computation.
        let data_len = cmsg_len.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
        match (fields.cmsg_level, fields.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                handles.extend((0..data_len / size_of::<RawFd>()).map(|i| {
                    // SAFETY: the i-th descriptor lies within the data of this header.
                    let raw = unsafe { data.cast::<RawFd>().add(i).read_unaligned() };
                    // SAFETY: the kernel has just opened this descriptor for this process, and no
                    // other value owns it.
                    unsafe { OwnedFd::from_raw_fd(raw) }
                }));
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if data_len >= size_of::<libc::ucred>() => {
                // SAFETY: the data contains a whole `ucred`, for which any bytes are valid.
                let sender = unsafe { data.cast::<libc::ucred>().read_unaligned() };
                received.sender = Some(crate::Credentials::from_kernel(sender));
            }
            (libc::SOL_SOCKET, SCM_PIDFD) if data_len >= size_of::<RawFd>() => {
                // SAFETY: the data has the size of one descriptor.
                let raw = unsafe { data.cast::<RawFd>().read_unaligned() };
                // If the process no longer exists, the kernel stores a negative error number
                // instead of a descriptor.
                if raw >= 0 {
                    // SAFETY: the kernel has just opened this descriptor for this process, and no
                    // other value owns it.
                    received.sender_process = Some(unsafe { OwnedFd::from_raw_fd(raw) });
                }
            }
            (libc::SOL_SOCKET, cmsg_type) if WITHOUT_DESCRIPTORS.contains(&cmsg_type) => {}
            _ => received.unknown_control = true,
        }
        // SAFETY: `header` lies within the control buffer of this message.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    received
}

/// Flags for sending without waiting and without `SIGPIPE`.
pub(super) const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

#[inline(always)]
pub(super) fn empty_message() -> libc::msghdr {
    // SAFETY: zero is valid for all fields of a `msghdr`: no name, no parts and no control data.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Returns the header of a control message with all fields zero. It can't be written as a literal,
/// because the padding fields and the width of the lengths depend on the C library. For example,
/// lengths have 32 bits in musl.
fn empty_header() -> libc::cmsghdr {
    // SAFETY: a `cmsghdr` consists of integers, for which zero is valid.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

pub(super) fn interrupted() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}
