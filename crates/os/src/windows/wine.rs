//! Detects Wine.

use std::sync::OnceLock;

use crate::sys::library;

/// Returns whether this process runs under Wine. Wine lacks some features of Windows, and passes
/// handles between processes in another form.
pub fn under_wine() -> bool {
    static WINE: OnceLock<bool> = OnceLock::new();
    *WINE.get_or_init(|| library::has_function(c"ntdll.dll", c"wine_get_version"))
}
