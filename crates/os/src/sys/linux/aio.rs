//! Signals an eventfd by a request whose completion the kernel reports to it. This is the only way
//! to add to the count of an eventfd that never waits for room.
//!
//! `write(2)` waits if the count is full and the open file description is blocking, and every
//! holder of an eventfd can change both at any time. A completed request of
//! [io_submit(2)](https://man7.org/linux/man-pages/man2/io_submit.2.html) with `IOCB_FLAG_RESFD`
//! adds one to the count, or nothing if the count has its maximum.
#![expect(unsafe_code, reason = "the C library has no wrappers of these system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct iocb` of `linux/aio_abi.h`. On big-endian machines `key` and `rw_flags` change places;
/// both are zero.
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

/// A context for requests. It is never destroyed, and a forked copy of the process has none.
#[derive(Debug)]
pub(crate) struct Context(libc::c_ulong);

impl Context {
    /// Makes a context.
    ///
    /// # Errors
    /// `EAGAIN`: the system's limit of contexts is reached (`fs.aio-max-nr`); `ENOSYS` or `EPERM`:
    /// the kernel or a filter of system calls does not provide the call.
    pub(crate) fn new() -> io::Result<Self> {
        let mut id: libc::c_ulong = 0;
        // SAFETY: the call writes the number. No memory is owned: the process has one context for
        // its lifetime.
        check(unsafe { libc::syscall(libc::SYS_io_setup, ROOM, &raw mut id) })?;
        Ok(Self(id))
    }

    /// Adds up to [`AT_ONCE`] to the count of an eventfd, and returns how many were added.
    ///
    /// # Errors
    /// `EAGAIN`: completions have to be taken first; `EINVAL`: the descriptor is not an eventfd.
    pub(crate) fn signal(&self, eventfd: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
        let fd = eventfd.as_raw_fd() as u32;
        // An eventfd is always readable, writable, or both, so the request completes at once.
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
        // SAFETY: the call reads `count` of the pointers, and reads and writes the request that
        // each of them points to, which lives in this function. A request of this type has no
        // buffer, so the kernel uses none of this memory after the call.
        let submitted = check(unsafe {
            libc::syscall(libc::SYS_io_submit, self.0, count as libc::c_long, requests.as_ptr())
        })?;
        Ok(submitted as usize)
    }

    /// Takes completions, so that there is room for more requests. Does not wait.
    ///
    /// # Errors
    /// Fails if a filter of system calls refuses the call.
    pub(crate) fn take_completions(&self) -> io::Result<()> {
        let mut taken = [Completion::default(); AT_ONCE];
        let (least, most) = (0 as libc::c_long, AT_ONCE as libc::c_long);
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes up to `most` completions to the array, and reads the time.
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

/// The number of requests of one system call.
pub(crate) const AT_ONCE: usize = 64;

/// The number of requests that counts toward `fs.aio-max-nr`. The kernel makes room for more,
/// depending on the number of cores.
const ROOM: libc::c_uint = 1;

const IOCB_CMD_POLL: u16 = 5;
const IOCB_FLAG_RESFD: u32 = 1;
