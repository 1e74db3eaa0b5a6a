//! Handles that arrived and are not trusted yet: their proof, and their close.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub(crate) use windows::*;
    } else {
        mod linux;

        pub(crate) use linux::*;
    }
}
