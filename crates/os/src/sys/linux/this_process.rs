//! Calls of the C library about this process, and the descriptor limit of its children.
#![expect(unsafe_code, reason = "calls without a safe form, and code between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::check;

/// Returns whether the program was started with more rights than its caller has.
pub(crate) fn is_secure() -> bool {
    // SAFETY: the call only reads the values that the kernel put on the stack at the start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Returns the number of the core on which this thread runs.
///
/// If the C library has registered the thread for rseq(2), the core is read from the thread's own
/// memory. In contrast, getcpu(2) is a system call on most processors except x86.
#[inline]
pub(crate) fn current_core() -> usize {
    // SAFETY: the call takes no arguments, and writes nothing but errno.
    let core = unsafe { libc::sched_getcpu() };
    // The call fails on no supported kernel.
    usize::try_from(core).unwrap_or_default()
}

/// Sets the limit of descriptors of the program that the command starts.
pub(crate) fn set_descriptor_limit(command: &mut Command, limit: u64) {
    // SAFETY: the closure makes system calls and allocates nothing, and neither does making an
    // io::Error from errno.
    unsafe { command.pre_exec(move || set_own_descriptor_limit(limit)) };
}

/// Sets the soft limit of descriptors of this process. Only makes system calls.
pub(crate) fn set_own_descriptor_limit(limit: u64) -> io::Result<()> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the struct.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) })?;
    limits.rlim_cur = limits.rlim_max.min(limit);
    // SAFETY: the call reads the struct.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) }).map(drop)
}
