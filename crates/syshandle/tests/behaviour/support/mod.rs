//! Helpers for all tests.

cfg_if::cfg_if! {
    if #[cfg(not(windows))] {
        #[cfg(feature = "tokio")]
        pub(crate) mod async_bench;
        #[cfg(feature = "tokio")]
        pub(crate) mod awaited;
        pub(crate) mod bench;
        pub(crate) mod hazard;
        mod linux;
        pub(crate) mod process;
        pub(crate) mod raw;
        pub(crate) mod streamer;
        pub(crate) mod world;

        pub(crate) use linux::*;
    }
}

use std::time::{Duration, Instant};

/// A timeout that is long enough on any machine: a test that reaches it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits until a condition holds. Another thread or process is about to fulfil it.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "never so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
