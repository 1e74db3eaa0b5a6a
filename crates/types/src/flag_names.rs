//! The names of flags, as written in an interface: in lower case, with `|` between them.

use std::fmt;

use bitflags::Flags;

/// Finds the flag with this name, such as `read` or `unix_stream`.
pub(crate) fn find<F: Flags>(name: &str) -> Option<F> {
    let is_lower_case = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    F::from_name(&name.to_ascii_uppercase()).filter(|_| is_lower_case)
}

/// Writes the names of all flags in a set.
pub(crate) fn write<F: Flags>(flags: &F, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, (name, _)) in flags.iter_names().enumerate() {
        if i > 0 {
            f.write_str(" | ")?;
        }
        f.write_str(&name.to_ascii_lowercase())?;
    }
    Ok(())
}
