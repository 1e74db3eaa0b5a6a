//! Detects Wine.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::ffi::CStr;
use std::sync::OnceLock;

use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

/// Returns whether this process runs under Wine, which lacks some features of Windows and passes
/// handles between processes in another form.
pub fn under_wine() -> bool {
    static WINE: OnceLock<bool> = OnceLock::new();
    *WINE.get_or_init(|| has_function(c"ntdll.dll", c"wine_get_version"))
}

/// Returns whether a library is loaded and exports a function with this name.
fn has_function(library: &CStr, function: &CStr) -> bool {
    // SAFETY: both names are null-terminated.
    unsafe {
        let library = GetModuleHandleA(library.as_ptr().cast());
        !library.is_null() && GetProcAddress(library, function.as_ptr().cast()).is_some()
    }
}
