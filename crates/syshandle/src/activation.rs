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

use crate::Result;
use crate::class::{Class, ClassInfo, Proxy};

/// Connects to the server of a class, and starts the server if it isn't running. Like `activate` of
/// the generated client, for code that is generic over the interface.
///
/// # Errors
/// See [`Activation`], which also offers other options.
pub fn activate<P: Proxy, C: ClassInfo>(class: Class<C>) -> Result<P> {
    Activation::new().activate(class.clsid())
}
