//! The system calls that need `unsafe`, each wrapped at once in a safe function.
//!
//! Whoever adds one here proves in its `SAFETY` comment who owns each descriptor on success and
//! on failure.

pub(crate) mod aio;
pub(crate) mod auxv;
pub(crate) mod clone;
pub(crate) mod cpu;
pub(crate) mod enter;
pub(crate) mod fork;
pub(crate) mod ioctl;
pub(crate) mod limit;
pub(crate) mod listen;
pub(crate) mod map;
pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod option;
pub(crate) mod record_lock;
pub(crate) mod signal;
pub(crate) mod stat;
pub(crate) mod tag;
#[cfg(test)]
pub(crate) mod udmabuf;

use std::io;

/// The result of a system call through libc: -1 means that `errno` tells.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
