//! The Linux queries and system calls that the public modules share.
//!
//! Modules with `unsafe` code wrap each system call in a safe function.
//!
//! The `SAFETY` comment of each call states who owns each descriptor on success and on failure.

pub(crate) mod aio;
pub(crate) mod clone;
pub(crate) mod composition;
pub(crate) mod counter;
pub(crate) mod device;
pub(crate) mod directory;
pub(crate) mod event;
pub(crate) mod fdinfo;
pub(crate) mod feature;
pub(crate) mod fork;
pub(crate) mod identify;
pub(crate) mod ioctl;
pub(crate) mod job;
pub(crate) mod listen;
pub(crate) mod map;
pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod mounts;
pub(crate) mod mutex;
pub(crate) mod option;
pub(crate) mod probe;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod prove;
pub(crate) mod record_lock;
pub(crate) mod reg_key;
pub(crate) mod section;
pub(crate) mod semaphore;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod stat;
pub(crate) mod tag;
pub(crate) mod this_process;
pub(crate) mod timer;
pub(crate) mod token;
#[cfg(test)]
pub(crate) mod udmabuf;
pub(crate) mod wait;
pub(crate) mod words;

use std::io;

/// Converts the result of a system call made through libc. If it is -1, returns the error in
/// `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// The system call that duplicates a handle, for error messages.
pub(crate) const DUPLICATE: &str = "fcntl(F_DUPFD_CLOEXEC)";

/// Returns the meaning of a system call's error and a remedy, for an error message.
pub(crate) fn remedy(call: &str, errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EMFILE => {
            "this process has no descriptor left (limit: RLIMIT_NOFILE, LimitNOFILE= of a systemd unit)"
        }
        libc::ENFILE => "the system has no descriptor left (limit: fs.file-max)",
        libc::ENOSPC if call == "epoll_ctl" => {
            "this user has no watch left (limit: fs.epoll.max_user_watches)"
        }
        libc::ENOMEM | libc::ENOBUFS => "the system has no memory left for it",
        libc::EPERM | libc::EACCES | libc::ENOSYS => {
            "this process may not make the call: allow it in the seccomp filter or the security module \
             that confines the process"
        }
        libc::ENOPROTOOPT => "this kernel doesn't know the option",
        _ => return None,
    })
}
