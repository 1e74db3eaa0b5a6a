//! Safe wrappers of the C functions in `bus.c`.
#![expect(unsafe_code, reason = "the peer is a library in C")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;

use bench_harness::sparkle::SERVER_LINES;

/// A connection (`sd_bus`).
#[derive(Debug)]
pub(crate) struct Bus(*mut c_void);

// SAFETY: an `sd_bus` isn't bound to a thread. Only one thread uses it at a time, because all uses
// take `&mut`.
unsafe impl Send for Bus {}

// The functions of `bus.c`. A negative `int` result is an error number.
unsafe extern "C" {
    fn bench_serve(listener: c_int, lines: *const c_char, lines_len: usize) -> c_int;
    fn bench_connect(fd: c_int, out: *mut *mut c_void) -> c_int;
    fn bench_close(bus: *mut c_void);
    fn bench_null(bus: *mut c_void, number: u64, out: *mut u64) -> c_int;
    fn bench_flight(bus: *mut c_void, calls: c_uint) -> c_int;
    fn bench_echo(bus: *mut c_void, bytes: *const c_void, len: usize, out: *mut usize) -> c_int;
    fn bench_handles(
        bus: *mut c_void,
        method: *const c_char,
        file: c_int,
        event: c_int,
        out: *mut c_int,
    ) -> c_int;
}

/// Serves the clients of a non-blocking listening socket, on this thread.
pub(crate) fn serve(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is lent for the duration of the call, and the lines are static.
    check(unsafe {
        bench_serve(listener.as_raw_fd(), SERVER_LINES.as_ptr().cast(), SERVER_LINES.len())
    })
}

impl Bus {
    /// Connects over a socket.
    pub(crate) fn connect(socket: OwnedFd) -> io::Result<Self> {
        let mut bus = ptr::null_mut();
        // SAFETY: the function takes ownership of the descriptor. The pointer refers to a local
        // value.
        check(unsafe { bench_connect(socket.into_raw_fd(), &raw mut bus) })?;
        Ok(Self(bus))
    }

    /// Calls with a number. Returns its successor.
    pub(crate) fn null(&mut self, number: u64) -> io::Result<u64> {
        let mut out = 0;
        // SAFETY: the connection is open, and the pointer refers to a local value.
        check(unsafe { bench_null(self.0, number, &raw mut out) })?;
        Ok(out)
    }

    /// Makes `calls` null calls in flight at once.
    pub(crate) fn flight(&mut self, calls: usize) -> io::Result<()> {
        let calls = u32::try_from(calls).map_err(io::Error::other)?;
        // SAFETY: the connection is open.
        check(unsafe { bench_flight(self.0, calls) })
    }

    /// Sends bytes, and returns the number of returned bytes.
    pub(crate) fn echo(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = 0;
        // SAFETY: the connection is open, the bytes are only read, and the pointer refers to a
        // local value.
        check(unsafe { bench_echo(self.0, bytes.as_ptr().cast(), bytes.len(), &raw mut out) })?;
        Ok(out)
    }

    /// Calls a method that takes a file and an event, and returns an event.
    pub(crate) fn handles(
        &mut self,
        method: &CStr,
        file: BorrowedFd<'_>,
        event: BorrowedFd<'_>,
    ) -> io::Result<OwnedFd> {
        let (mut out, file, event) = (-1, file.as_raw_fd(), event.as_raw_fd());
        // SAFETY: the connection is open, and the descriptors are lent for the duration of the
        // call. On success, this function owns the returned descriptor.
        unsafe {
            check(bench_handles(self.0, method.as_ptr(), file, event, &raw mut out))?;
            Ok(OwnedFd::from_raw_fd(out))
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // SAFETY: the connection is open, and is not used after this call.
        unsafe { bench_close(self.0) };
    }
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        ..0 => Err(io::Error::from_raw_os_error(-result)),
        _ => Ok(()),
    }
}
