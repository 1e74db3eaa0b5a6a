//! The files that every installation of Windows' tools has, for where it isn't installed.
//!
//! They hold what interfaces are written in terms of: base types with their definitions,
//! interfaces and structs mostly by name alone. Where the search path has a file of the same
//! name, that one is read instead.

mod rights;

pub(crate) use rights::right;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!($name))),*];
    };
}

files! {
    "basetsd.h",
}

/// The built-in file of this name, whatever its letters' case and its directory: its proper
/// name and its text.
pub(crate) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    let name = name.rsplit('/').next().unwrap_or(name);
    FILES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).copied()
}
