//! `sendmmsg` and `recvmmsg`, which transfer several messages with one system call.
//!
//! The calls use `syscall(2)`, as in [`super::message`].
#![expect(unsafe_code, reason = "arrays of messages and their control buffers are raw memory")]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::ops::DerefMut;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use super::message::{
    CONTROL_SIZE, Control, SEND_FLAGS, empty_message, interrupted, is_end, take, uninterrupted,
};
use crate::{ReceivedMessage, Slot};

/// Maximum number of messages in one call, because their control buffers are on the stack.
pub(crate) const MESSAGES_MAX: usize = 16;

/// Sends messages without descriptors in order. Does not wait for buffer space, and does not raise
/// `SIGPIPE`. Returns the number of messages sent, which is at least one.
pub(crate) fn send(socket: BorrowedFd<'_>, frames: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MESSAGES_MAX];
    let count = frames.len().min(MESSAGES_MAX);
    for (place, frame) in messages.iter_mut().zip(frames) {
        let message = place.write(empty());
        message.msg_hdr.msg_iov = ptr::from_ref(frame).cast_mut().cast();
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: an `IoSlice` has the layout of an `iovec`. Every pointer of the first `count`
    // messages refers to memory that lives until the call returns, and the call writes only their
    // lengths.
    uninterrupted(|| unsafe {
        let (socket, messages) = (socket.as_raw_fd(), messages.as_mut_ptr());
        libc::syscall(libc::SYS_sendmmsg, socket, messages, count, SEND_FLAGS)
    })
}

/// Receives queued messages, at most one per slot. Their descriptors are close-on-exec. Returns the
/// number of messages received, which is at least one.
///
/// Waits for the first message only if `wait` is set, and at most for the socket's own timeout.
/// Never waits for a second message.
pub(crate) fn receive<B, H>(
    socket: BorrowedFd<'_>,
    slots: &mut [Slot<B, H>],
    wait: bool,
) -> io::Result<usize>
where
    B: DerefMut<Target = [u8]>,
    H: Extend<OwnedFd>,
{
    let mut controls = [const { Control([MaybeUninit::uninit(); CONTROL_SIZE]) }; MESSAGES_MAX];
    // Only the entries in use are initialized.
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; MESSAGES_MAX];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MESSAGES_MAX];
    let count = slots.len().min(MESSAGES_MAX);
    for (((place, part), control), slot) in
        messages.iter_mut().zip(&mut parts).zip(&mut controls).zip(&mut *slots)
    {
        let (iov_base, iov_len) = (slot.bytes.as_mut_ptr().cast(), slot.bytes.len());
        let message = place.write(empty());
        message.msg_hdr.msg_iov = part.write(libc::iovec { iov_base, iov_len });
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = CONTROL_SIZE as _;
    }
    let wait_flag = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
    let flags = libc::MSG_CMSG_CLOEXEC | wait_flag;
    let received = loop {
        // SAFETY: the first `count` messages are initialized. Each of their pointers refers to
        // memory that lives until the call returns and to which no other pointer refers. The call
        // may write to it up to the accompanying length. The pointer to a timeout is null.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                count,
                flags,
                ptr::null_mut::<libc::timespec>(),
            )
        };
        match usize::try_from(received) {
            Ok(received) => break received,
            // A caller that waits gets the `EINTR`, so that it can check its deadline.
            Err(_) if interrupted() && !wait => continue,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    };
    let mut last = 0;
    for (place, message) in messages[..received].iter().enumerate() {
        // SAFETY: `received` is at most `count`, and the first `count` messages were initialized
        // before the call.
        let message = unsafe { message.assume_init_ref() };
        let len = message.msg_len as usize;
        if is_end(&message.msg_hdr, len) {
            slots[place].received = ReceivedMessage::default();
            continue;
        }
        let handles = &mut slots[place].handles;
        // SAFETY: the kernel has just filled the first `received` messages, and each is taken only
        // once.
        slots[place].received = unsafe { take(&message.msg_hdr, len, handles) };
        // A message that follows an end was sent before the end, as in [`super::message::receive`].
        slots.swap(last, place);
        last += 1;
    }
    // The next call reports an end that follows a message.
    Ok(if last > 0 { last } else { received })
}

fn empty() -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr: empty_message(), msg_len: 0 }
}
