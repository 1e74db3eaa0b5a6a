//! Objects of this process, with the same client type as objects of other processes.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub use windows::*;
    } else {
        mod linux;

        pub use linux::*;
    }
}
