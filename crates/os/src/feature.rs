//! Newer facilities of the kernel, each of which a test can take away from its own thread, to see
//! what happens without.

/// What this crate uses where it is there, and does without where it isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// `/proc` is mounted.
    Proc,
    /// A mount's number that is never used again (`STATX_MNT_ID_UNIQUE`, Linux 6.8).
    UniqueMounts,
    /// `/proc/self/fdinfo` says whether an eventfd is a semaphore (Linux 6.5).
    SemaphoreMode,
    /// Pidfds have a file system, and so a number, of their own (Linux 6.9).
    Pidfs,
    /// A pidfd answers questions about its process (`PIDFD_GET_INFO`, Linux 6.13).
    ProcessInfo,
}

/// Whether the feature may be used. That it may doesn't say that the kernel has it.
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

    /// Runs a test's step on a kernel that lacks the feature.
    pub(crate) fn without<R>(feature: Feature, step: impl FnOnce() -> R) -> R {
        OFF.with_borrow_mut(|off| off.push(feature));
        let result = step();
        OFF.with_borrow_mut(|off| off.pop());
        result
    }
}
