//! The platform-specific commands.

#[cfg(not(windows))]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
pub(crate) use linux::{attack, clean, list, log, register, stop};
#[cfg(windows)]
pub(crate) use windows::{clean, list, register};
