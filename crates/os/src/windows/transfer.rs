//! Handles from one process to another, where no runtime carries them.
//!
//! Who the other process is has to come from the kernel or the RPC runtime, never from a message:
//! the numbers that a message names are looked up in *its* table.

use std::io;
use std::os::windows::io::AsHandle;

use super::sys::object;
use crate::{BorrowedHandle, OwnedHandle, Process};

/// Whether a number is no handle at all, or one that means whoever uses it: zero, and all that are
/// negative (-1 is the current process, -2 the current thread, and so on). None may be duplicated:
/// `DuplicateHandle` of -1 hands out the process itself.
pub const fn is_pseudo(handle: u64) -> bool {
    // Handles are 32 bits wide: what is negative as one is a pseudo-handle too, and what doesn't
    // fit is no handle.
    handle == 0 || handle > i32::MAX as u64
}

/// Duplicates a handle of another process into this one, with the same rights.
///
/// # Errors
/// `InvalidInput` for a number that is no real handle; those of `DuplicateHandle`.
pub fn pull(from: &Process, handle: u64) -> io::Result<OwnedHandle> {
    if is_pseudo(handle) {
        return Err(no_handle());
    }
    object::pull(from.as_handle(), handle)
}

/// Duplicates a handle of this process into another one, with the same rights; returns its number
/// there, which belongs to that process from then on.
///
/// # Errors
/// Those of `DuplicateHandle`.
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
    fn what_is_pulled_is_the_same_object() {
        let own = Process::open_to_duplicate(std::process::id()).unwrap();
        let event = Event::new().unwrap();
        let pulled = pull(&own, object::number(Handle::as_handle(&event))).unwrap();
        Event::from(pulled).set().unwrap();
        assert!(event.poll().unwrap());
    }
}
