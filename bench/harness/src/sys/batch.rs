//! `sendmmsg` and `recvmmsg`: several messages with one system call.
#![expect(unsafe_code, reason = "arrays of messages are raw memory")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Maximum number of messages per call.
pub const MESSAGES_MAX: usize = 64;

/// A small message of fixed size.
pub type Message = [u64; 2];

/// Sends messages. Returns how many were sent.
///
/// # Errors
/// The errors of [`sendmmsg(2)`](https://man7.org/linux/man-pages/man2/sendmmsg.2.html).
pub fn send_all(socket: BorrowedFd<'_>, messages: &[Message]) -> io::Result<usize> {
    let mut parts = parts(messages.as_ptr().cast_mut(), messages.len());
    let mut headers = headers(&mut parts);
    let count = messages.len().min(MESSAGES_MAX) as u32;
    // SAFETY: the headers point to `parts`, and `parts` to the messages, which are only read. All
    // live until the call returns.
    let sent = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Waits for a message, and receives it and all others that are waiting. Returns their number.
///
/// # Errors
/// The errors of [`recvmmsg(2)`](https://man7.org/linux/man-pages/man2/recvmmsg.2.html);
/// `UnexpectedEof` at the end of the connection.
pub fn receive_all(socket: BorrowedFd<'_>, messages: &mut [Message]) -> io::Result<usize> {
    let mut parts = parts(messages.as_mut_ptr(), messages.len());
    let mut headers = headers(&mut parts);
    let count = messages.len().min(MESSAGES_MAX) as u32;
    // SAFETY: the headers point to `parts`, and `parts` to the messages, which are borrowed
    // mutably. All live until the call returns.
    let received = unsafe {
        let no_timeout = std::ptr::null_mut();
        let flags = libc::MSG_WAITFORONE;
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags, no_timeout)
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    match headers[..received].iter().any(|header| header.msg_len == 0) || received == 0 {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(received),
    }
}

fn parts(messages: *mut Message, count: usize) -> [libc::iovec; MESSAGES_MAX] {
    std::array::from_fn(|i| libc::iovec {
        // Entries beyond `count` are not used. They point to the end of the messages.
        iov_base: messages.wrapping_add(i.min(count)).cast(),
        iov_len: size_of::<Message>(),
    })
}

fn headers(parts: &mut [libc::iovec; MESSAGES_MAX]) -> [libc::mmsghdr; MESSAGES_MAX] {
    let first = parts.as_mut_ptr();
    std::array::from_fn(|i| {
        // SAFETY: an all-zero `mmsghdr` is a valid empty message.
        let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_hdr.msg_iov = first.wrapping_add(i);
        header.msg_hdr.msg_iovlen = 1;
        header
    })
}
