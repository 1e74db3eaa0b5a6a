//! The system-dependent part of the crate. There is one directory per system, and equivalent items
//! have the same name in both.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub(crate) use windows::*;
    } else {
        mod linux;

        pub(crate) use linux::*;
    }
}
