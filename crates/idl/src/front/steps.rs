//! Counts the work of a run in steps. With this count, a test can show that twice the input takes
//! about twice the work, independently of the machine and its load.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Counts steps. Called in every loop whose length depends on the input.
pub(crate) fn count(steps: usize) {
    STEPS.with(|so_far| so_far.set(so_far.get().wrapping_add(steps as u64)));
}

/// Returns the number of steps that this thread has taken so far.
pub(crate) fn total() -> u64 {
    STEPS.with(Cell::get)
}
