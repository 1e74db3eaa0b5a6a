//! Whether this is Windows.

use std::sync::OnceLock;

use super::sys::library;

/// Whether this is Wine, which lacks some of what Windows has, and carries handles between processes
/// in another form.
pub fn under_wine() -> bool {
    static WINE: OnceLock<bool> = OnceLock::new();
    *WINE.get_or_init(|| library::has_function(c"ntdll.dll", c"wine_get_version"))
}
