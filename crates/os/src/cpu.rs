//! On which core a thread runs.

/// The number of the core that this thread runs on now, and may leave at any time: see
/// [getcpu(2)](https://man7.org/linux/man-pages/man2/getcpu.2.html), which is no system call here.
#[inline]
pub fn current_core() -> usize {
    rustix::thread::sched_getcpu()
}
