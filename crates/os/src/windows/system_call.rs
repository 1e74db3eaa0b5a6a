//! Errors of the system.

use std::io;

/// Returns the number of the system's error.
pub fn raw_os_error(error: &io::Error) -> Option<i32> {
    error.raw_os_error()
}
