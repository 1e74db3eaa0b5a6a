//! What the threads of a client and of a server share, wait with, and tell the time by.
//!
//! Whatever one thread does that another one can notice goes through here, so that there is one
//! place to put something else in its stead: this crate's own tests run the real client and the
//! real reactor under a scheduler that chooses which thread goes on, and a clock that it drives.

cfg_if::cfg_if! {
    if #[cfg(test)] {
        mod explored;

        pub(crate) use explored::*;
    } else {
        mod system;

        pub(crate) use system::*;
    }
}
