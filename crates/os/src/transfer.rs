//! Passes handles between processes without the help of a runtime.
//!
//! Identify the other process by the kernel or by the RPC runtime, never by a message, because the
//! handle numbers in a message are looked up in the table of *that* process.

use std::io;
use std::os::windows::io::AsHandle;

use crate::sys::object;
use crate::{BorrowedHandle, OwnedHandle, Process};

/// Returns whether a number is not a real handle. Zero is no handle. Negative numbers are
/// pseudo-handles, which refer to the process or thread that uses them (-1 is the current process,
/// -2 the current thread, and so on). They must not be duplicated: `DuplicateHandle` of -1 returns
/// a handle to the process itself, with full access.
pub const fn is_pseudo(handle: u64) -> bool {
    // Handles have 32 significant bits. So a number that is negative as a 32-bit integer is also a
    // pseudo-handle, and a larger number is not a handle.
    handle == 0 || handle > i32::MAX as u64
}

/// Duplicates a handle of another process into this one, with the same rights.
///
/// # Errors
/// `InvalidInput` for a number that is not a real handle; the errors of `DuplicateHandle`.
pub fn pull(from: &Process, handle: u64) -> io::Result<OwnedHandle> {
    if is_pseudo(handle) {
        return Err(no_handle());
    }
    object::pull(from.as_handle(), handle)
}

/// Duplicates a handle of this process into another one, with the same rights. Returns the number
/// of the duplicate, which the other process owns from then on.
///
/// # Errors
/// Returns the errors of `DuplicateHandle`.
pub fn push(to: &Process, handle: BorrowedHandle<'_>) -> io::Result<u64> {
    if is_pseudo(object::number(handle)) {
        return Err(no_handle());
    }
    object::push(to.as_handle(), handle)
}

fn no_handle() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the number is no handle of the peer's own")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Handle};

    #[test]
    fn pseudo_handles_are_never_duplicated() {
        let own = Process::open_to_duplicate(std::process::id()).unwrap();
        for number in [0, u64::MAX, u64::MAX - 1, u64::from(u32::MAX), 0xffff_fffe, 1 << 40] {
            let refused = pull(&own, number).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{number:#x}");
        }
    }

    #[test]
    fn a_transferred_handle_refers_to_the_same_object() {
        let own = Process::open_to_duplicate(std::process::id()).unwrap();
        let event = Event::new().unwrap();
        let pulled = pull(&own, object::number(Handle::as_handle(&event))).unwrap();
        Event::from(pulled).set().unwrap();
        assert!(event.poll().unwrap());
    }
}
