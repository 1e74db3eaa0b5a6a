//! Waits with `WaitForMultipleObjects`.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::AsRawHandle;
use std::time::Instant;

use windows_sys::Win32::Foundation::{WAIT_ABANDONED_0, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{INFINITE, WaitForMultipleObjects};

use super::milliseconds;
use crate::Waitable;

/// Waits until one of the objects is ready, takes it, and returns its index. Returns `None` if the
/// deadline passes first.
pub(crate) fn any(
    objects: &[&dyn Waitable],
    deadline: Option<Instant>,
) -> io::Result<Option<usize>> {
    if objects.len() > MAXIMUM_WAIT_OBJECTS {
        let what = format!(
            "too many objects to wait for: {} (limit: {MAXIMUM_WAIT_OBJECTS})",
            objects.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let raw: Vec<_> = objects.iter().map(|object| object.handle().as_raw_handle()).collect();
    let count = raw.len() as u32;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let time = left.map_or(INFINITE, milliseconds);
        if count == 0 {
            // `WaitForMultipleObjects` requires at least one object.
            std::thread::sleep(left.unwrap_or(std::time::Duration::MAX));
            return Ok(None);
        }
        // SAFETY: `raw` contains `count` handles. They are open, because the objects are borrowed.
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

/// Takes an object if it is ready now. Returns whether it did.
pub(crate) fn try_take(object: &dyn Waitable) -> io::Result<bool> {
    Ok(any(&[object], Some(Instant::now()))?.is_some())
}

/// From `winnt.h`.
const MAXIMUM_WAIT_OBJECTS: usize = 64;
