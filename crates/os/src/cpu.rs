//! On which core a thread runs, and on how many it may.

use crate::sys;

/// The number of the core that this thread runs on now, and may leave at any time: see
/// [sched_getcpu(3)](https://man7.org/linux/man-pages/man3/sched_getcpu.3.html).
#[inline]
pub fn current_core() -> usize {
    sys::cpu::current()
}

/// On how many cores this thread may run: see
/// [sched_getaffinity(2)](https://man7.org/linux/man-pages/man2/sched_getaffinity.2.html).
///
/// The time that a control group has of them, which
/// [`available_parallelism`](std::thread::available_parallelism) looks for too, isn't asked for: to
/// find it takes some twenty system calls, more than all else that a server does to start.
pub fn usable_cores() -> usize {
    match rustix::thread::sched_getaffinity(None) {
        Ok(cores) => (cores.count() as usize).max(1),
        // More than the set has room for.
        Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_fewer_cores_than_the_standard_library_finds() {
        let found = std::thread::available_parallelism().unwrap().get();
        assert!(usable_cores() >= found, "{} and {found}", usable_cores());
    }
}
