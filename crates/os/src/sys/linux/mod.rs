//! Linux: the queries and system calls that the public modules share.
//!
//! The modules with `unsafe` wrap a system call directly in a safe function.
//!
//! The `SAFETY` comment of each call proves who owns each descriptor on success and on failure.

pub(crate) mod aio;
pub(crate) mod auxv;
pub(crate) mod clone;
pub(crate) mod counter;
pub(crate) mod cpu;
pub(crate) mod device;
pub(crate) mod enter;
pub(crate) mod fdinfo;
pub(crate) mod feature;
pub(crate) mod fork;
pub(crate) mod ioctl;
pub(crate) mod limit;
pub(crate) mod listen;
pub(crate) mod map;
pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod mounts;
pub(crate) mod option;
pub(crate) mod probe;
pub(crate) mod proc;
pub(crate) mod record_lock;
pub(crate) mod signal;
pub(crate) mod stat;
pub(crate) mod tag;
#[cfg(test)]
pub(crate) mod udmabuf;

use std::io;

/// Converts the result of a system call through libc: -1 means that `errno` has the error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
