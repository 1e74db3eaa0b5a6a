//! Buffers for frames, arguments and results.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub(crate) use windows::*;
    } else {
        mod linux;

        pub(crate) use linux::*;
    }
}
