//! Libraries that are loaded in this process.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::ffi::CStr;

use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

/// Returns whether a library is loaded and has a function of this name.
pub(crate) fn has_function(library: &CStr, function: &CStr) -> bool {
    // SAFETY: both names end with a zero.
    unsafe {
        let library = GetModuleHandleA(library.as_ptr().cast());
        !library.is_null() && GetProcAddress(library, function.as_ptr().cast()).is_some()
    }
}
