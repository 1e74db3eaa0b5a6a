//! Activation: connects to the server of a class, and starts the server if it isn't running.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub use windows::*;
    } else {
        mod linux;

        pub use linux::*;
    }
}
