//! Mark of a client whose calls are sent together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Holds back the calls of a client and its clones, until they are sent together.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    /// Whether calls are sent at once, because the pipeline has ended.
    has_ended: Arc<AtomicBool>,
}

impl Pipeline {
    /// Returns whether calls are held back.
    pub(super) fn holds(&self) -> bool {
        !self.has_ended.load(Ordering::Relaxed)
    }

    /// Stops holding calls back.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }
}
