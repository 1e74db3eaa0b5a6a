//! The objects that a handle may refer to, and the facts from the kernel about a handle.

#[cfg(not(windows))]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
pub use linux::Object;
#[cfg(windows)]
pub use windows::Object;

use crate::Rights;

/// The facts from the kernel about a handle: its object and its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The object that the handle refers to.
    pub object: Object,
    /// The rights that the handle carries.
    pub rights: Rights,
}
