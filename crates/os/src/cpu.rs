//! On which core a thread runs.

use crate::sys;

/// The number of the core that this thread runs on now, and may leave at any time: see
/// [sched_getcpu(3)](https://man7.org/linux/man-pages/man3/sched_getcpu.3.html).
#[inline]
pub fn current_core() -> usize {
    sys::cpu::current()
}
