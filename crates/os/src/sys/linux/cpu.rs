//! `sched_getcpu`. If the C library has registered the thread for rseq(2), the core is read from
//! the thread's own memory. In contrast, getcpu(2) is a system call on most processors except x86.
#![expect(unsafe_code, reason = "rustix has getcpu alone")]

/// Returns the number of the core on which this thread runs.
#[inline]
pub(crate) fn current() -> usize {
    // SAFETY: the call takes no arguments, and writes nothing but errno.
    let core = unsafe { libc::sched_getcpu() };
    // The call fails on no supported kernel.
    usize::try_from(core).unwrap_or_default()
}
