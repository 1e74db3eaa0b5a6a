//! Received handles that are not trusted yet, and how they are proven and closed.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub(crate) use windows::*;
    } else {
        mod linux;

        pub(crate) use linux::*;
    }
}
