//! Functions of the C library about this process, and the descriptor limit of child processes.
#![expect(unsafe_code, reason = "calls without a safe wrapper, and code between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::check;

/// Returns whether this program was started with more privileges than its caller has.
pub(crate) fn is_secure() -> bool {
    // SAFETY: the call only reads values that the kernel stored when the program started.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Returns the index of the core on which this thread runs.
///
/// If the C library has registered the thread for rseq(2), this reads the core from the thread's
/// memory. Otherwise it calls getcpu(2), which is a system call on most architectures other than
/// x86.
#[inline]
pub(crate) fn current_core() -> usize {
    // SAFETY: the call takes no arguments, and writes only `errno`.
    let core = unsafe { libc::sched_getcpu() };
    // The call succeeds on all supported kernels.
    usize::try_from(core).unwrap_or_default()
}

/// Sets the soft limit of file descriptors for the program that the command starts.
pub(crate) fn set_descriptor_limit(command: &mut Command, limit: u64) {
    // SAFETY: the closure only makes system calls. Neither it nor creating an `io::Error` from
    // `errno` allocates memory.
    unsafe { command.pre_exec(move || set_own_descriptor_limit(limit)) };
}

/// Sets the soft limit of file descriptors of this process. Only makes system calls.
pub(crate) fn set_own_descriptor_limit(limit: u64) -> io::Result<()> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the struct.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) })?;
    limits.rlim_cur = limits.rlim_max.min(limit);
    // SAFETY: the call reads the struct.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) }).map(drop)
}
