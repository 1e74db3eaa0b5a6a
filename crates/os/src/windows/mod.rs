//! The Windows side of the crate: the same names as on Linux, for HANDLEs.
//!
//! As on Linux, there is one file per kind of object. Operations that a kind can't support are
//! missing: a section has no seals, and a directory opens nothing relative to it. A proof has the
//! same meaning: the kernel is asked for the type of the object and for the access that was granted
//! to the handle.

mod file;
pub(crate) mod handle;
mod identify;
mod pipe;
mod prove;
mod socket;
mod transfer;
mod watch;

pub use crate::sys::wine::under_wine;
pub use handle::Borrowed;
pub use identify::identify;
pub use prove::{Unproven, prove};
pub use transfer::{is_pseudo, pull, push};
pub use watch::{Watch, Watched};
