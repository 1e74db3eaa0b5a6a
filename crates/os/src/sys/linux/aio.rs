//! Signals an eventfd through a completed asynchronous request. This is the only way to add to the
//! counter of an eventfd without ever blocking.
//!
//! `write(2)` blocks if the counter is full and the open file description is in blocking mode, and
//! any holder of an eventfd can change both at any time. By contrast, the completion of a request
//! of [io_submit(2)](https://man7.org/linux/man-pages/man2/io_submit.2.html) with `IOCB_FLAG_RESFD`
//! adds one to the counter, or nothing if the counter is at its maximum.
#![expect(unsafe_code, reason = "the C library has no wrappers of these system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct iocb` of `linux/aio_abi.h`. On big-endian machines `key` and `rw_flags` are swapped,
/// which makes no difference because both are zero.
#[repr(C)]
#[derive(Default)]
struct Request {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// `struct io_event` of `linux/aio_abi.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Completion([u64; 4]);

const _: () = assert!(size_of::<Request>() == 64 && size_of::<Completion>() == 32);

/// An AIO context, which accepts requests. It is never destroyed. A forked child doesn't inherit
/// it.
#[derive(Debug)]
pub(crate) struct Context(libc::c_ulong);

impl Context {
    /// Creates a context.
    ///
    /// # Errors
    /// `EAGAIN` if the system's limit of requests is reached (`fs.aio-max-nr`); `ENOSYS` or `EPERM`
    /// if the kernel lacks the system call or a filter rejects it.
    pub(crate) fn new() -> io::Result<Self> {
        let mut id: libc::c_ulong = 0;
        // SAFETY: the call writes the ID of the context. There is no memory to free, because the
        // process keeps the context for its lifetime.
        check(unsafe { libc::syscall(libc::SYS_io_setup, ROOM, &raw mut id) })?;
        Ok(Self(id))
    }

    /// Adds `count`, but at most [`AT_ONCE`], to the counter of an eventfd. Returns how much was
    /// added.
    ///
    /// # Errors
    /// `EAGAIN` if completions have to be taken first; `EINVAL` if the descriptor is not an
    /// eventfd.
    pub(crate) fn signal(&self, eventfd: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
        let fd = eventfd.as_raw_fd() as u32;
        // An eventfd is always readable, writable, or both, so a poll request completes
        // immediately.
        let mut request = Request {
            opcode: IOCB_CMD_POLL,
            fd,
            buffer: (libc::POLLIN | libc::POLLOUT) as u64,
            flags: IOCB_FLAG_RESFD,
            eventfd: fd,
            ..Request::default()
        };
        let requests = [&raw mut request; AT_ONCE];
        let count = count.min(AT_ONCE);
        // SAFETY: the call reads `count` of the pointers. It reads and writes the request behind
        // each pointer, which lives until this function returns. A poll request has no buffer, so
        // the kernel uses none of this memory after the call.
        let submitted = check(unsafe {
            libc::syscall(libc::SYS_io_submit, self.0, count as libc::c_long, requests.as_ptr())
        })?;
        Ok(submitted as usize)
    }

    /// Removes completions from the context, so that it accepts more requests. Does not wait.
    ///
    /// # Errors
    /// Fails if a system call filter rejects the call.
    pub(crate) fn take_completions(&self) -> io::Result<()> {
        let mut taken = [Completion::default(); AT_ONCE];
        let (least, most) = (0 as libc::c_long, AT_ONCE as libc::c_long);
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes at most `most` completions to the array, and reads the timeout.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_getevents,
                self.0,
                least,
                most,
                taken.as_mut_ptr(),
                &raw const now,
            )
        };
        check(result).map(drop)
    }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// Maximum number of requests submitted by one system call.
pub(crate) const AT_ONCE: usize = 64;

/// Requested capacity, which counts toward `fs.aio-max-nr`. The kernel provides more, depending on
/// the number of cores.
const ROOM: libc::c_uint = 1;

const IOCB_CMD_POLL: u16 = 5;
const IOCB_FLAG_RESFD: u32 = 1;
