//! `sched_getcpu`, which reads what the kernel keeps in the thread's own memory (rseq(2)) where the C
//! library has asked for that: a load, where getcpu(2) is a system call on most processors but x86.
#![expect(unsafe_code, reason = "rustix has getcpu alone")]

/// The number of the core that this thread runs on.
#[inline]
pub(crate) fn current() -> usize {
    // SAFETY: it takes nothing, and touches nothing but errno.
    let core = unsafe { libc::sched_getcpu() };
    // It fails on no kernel that this runs on.
    usize::try_from(core).unwrap_or_default()
}
