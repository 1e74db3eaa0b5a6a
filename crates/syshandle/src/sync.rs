//! Synchronization, waits and the clock for threads of clients and servers.
//!
//! All interaction between threads goes through this module, so that tests can replace it. This
//! crate's own tests run the real client and the real reactor under a scheduler that chooses the
//! next thread, and with a clock that the scheduler drives.

cfg_if::cfg_if! {
    if #[cfg(test)] {
        mod explored;

        pub(crate) use explored::*;
    } else {
        mod system;

        pub(crate) use system::*;
    }
}
