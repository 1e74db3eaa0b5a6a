//! How much work a run was, in steps rather than seconds: so a test can tell, on any machine and
//! under any load, that twice the input is about twice the work.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Counts steps. Called wherever something is gone through whose length the input decides.
pub(crate) fn count(steps: usize) {
    STEPS.with(|so_far| so_far.set(so_far.get().wrapping_add(steps as u64)));
}

/// All steps of this thread so far.
pub(crate) fn so_far() -> u64 {
    STEPS.with(Cell::get)
}
