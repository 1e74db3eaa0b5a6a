//! Client side: a typed reference to an object in this or another process.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub use windows::*;
    } else {
        mod linux;

        pub use linux::*;
    }
}
