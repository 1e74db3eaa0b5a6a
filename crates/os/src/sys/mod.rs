//! The part of the crate that depends on the system: one folder for each, with the same names where
//! both systems do the same.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub(crate) use windows::*;
    } else {
        mod linux;

        pub(crate) use linux::*;
    }
}
