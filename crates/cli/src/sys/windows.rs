//! The commands for Windows, where registrations are in the Windows registry.

pub(crate) mod clean;
pub(crate) mod list;
mod programs;
pub(crate) mod register;
