//! Optional features of newer kernels. A test can disable each of them for its own thread, to test
//! the behaviour on older kernels.

/// An optional feature of the system, which this crate uses if available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// `/proc` is mounted.
    Proc,
    /// Mount IDs that are never reused (`STATX_MNT_ID_UNIQUE`, Linux 6.8).
    UniqueMounts,
    /// A line in `/proc/self/fdinfo` that shows whether an eventfd is a semaphore (Linux 6.5).
    SemaphoreMode,
    /// A separate file system for pidfds, which gives each of them a unique inode number (Linux
    /// 6.9).
    Pidfs,
    /// Queries about the process of a pidfd (`PIDFD_GET_INFO`, Linux 6.13).
    ProcessInfo,
}

/// Returns whether the feature may be used. The kernel may still lack it.
pub(crate) fn may_use(feature: Feature) -> bool {
    !seam::is_off(feature)
}

#[cfg(not(test))]
mod seam {
    pub(super) const fn is_off(_: super::Feature) -> bool {
        false
    }
}

#[cfg(test)]
pub(crate) mod seam {
    use std::cell::RefCell;

    use super::Feature;

    thread_local! {
        static OFF: RefCell<Vec<Feature>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn is_off(feature: Feature) -> bool {
        OFF.with_borrow(|off| off.contains(&feature))
    }

    /// Runs a step of a test as if the system lacked the feature.
    pub(crate) fn without<R>(feature: Feature, step: impl FnOnce() -> R) -> R {
        OFF.with_borrow_mut(|off| off.push(feature));
        let result = step();
        OFF.with_borrow_mut(|off| off.pop());
        result
    }
}
