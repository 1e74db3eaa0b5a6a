//! The commands for Linux, where registrations are files.

pub(crate) mod attack;
mod class;
pub(crate) mod clean;
pub(crate) mod list;
pub(crate) mod log;
mod paths;
mod programs;
pub(crate) mod register;
pub(crate) mod stop;
mod systemd;
mod target;
