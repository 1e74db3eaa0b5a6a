//! Waits for objects.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::time::Instant;

use windows_sys::Win32::Foundation::{WAIT_ABANDONED_0, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{INFINITE, WaitForMultipleObjects};

use super::milliseconds;

/// Waits until one of the objects could be taken, or until the deadline; returns its index.
pub(crate) fn any(
    handles: &[BorrowedHandle<'_>],
    deadline: Option<Instant>,
) -> io::Result<Option<usize>> {
    if handles.len() > MAXIMUM_WAIT_OBJECTS {
        let what = format!("one waits for {MAXIMUM_WAIT_OBJECTS} objects at most");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let raw: Vec<_> = handles.iter().map(AsRawHandle::as_raw_handle).collect();
    let count = raw.len() as u32;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let time = left.map_or(INFINITE, milliseconds);
        if count == 0 {
            // The call requires at least one object.
            std::thread::sleep(left.unwrap_or(std::time::Duration::MAX));
            return Ok(None);
        }
        // SAFETY: `raw` has `count` handles, all of which are open as long as they are borrowed.
        let ended = unsafe { WaitForMultipleObjects(count, raw.as_ptr(), 0, time) };
        match ended {
            WAIT_TIMEOUT if deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
            WAIT_TIMEOUT => return Ok(None),
            _ if ended < WAIT_OBJECT_0 + count => {
                return Ok(Some((ended - WAIT_OBJECT_0) as usize));
            }
            WAIT_ABANDONED_0.. if ended < WAIT_ABANDONED_0 + count => {
                return Ok(Some((ended - WAIT_ABANDONED_0) as usize));
            }
            _ => return Err(io::Error::last_os_error()),
        }
    }
}

/// Returns whether an object is signalled. The query takes the object.
pub(crate) fn is_signalled(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    Ok(any(&[handle], Some(Instant::now()))?.is_some())
}

/// From `winnt.h`.
const MAXIMUM_WAIT_OBJECTS: usize = 64;
