//! Buffers for frames, kept by each thread from call to call.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// A buffer of [`syshandle_wire::Header::FRAME_MAX`] bytes; goes back to its thread when dropped.
pub(crate) struct FrameBuffer(Vec<u8>);

impl FrameBuffer {
    /// A buffer with whatever bytes are in it.
    pub(crate) fn take() -> Self {
        let kept = KEPT.with_borrow_mut(Vec::pop);
        Self(kept.unwrap_or_else(|| vec![0; syshandle_wire::Header::FRAME_MAX]))
    }
}

impl Deref for FrameBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for FrameBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        keep(&KEPT, &mut self.0);
    }
}

/// An empty vector with room from calls before.
pub(crate) fn take_bytes() -> Vec<u8> {
    BYTES.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps the room of a vector for the next call of this thread.
pub(crate) fn give_bytes(mut bytes: Vec<u8>) {
    if bytes.capacity() <= KEPT_BYTES_MAX {
        bytes.clear();
        keep(&BYTES, &mut bytes);
    }
}

fn keep(kept: &'static std::thread::LocalKey<RefCell<Vec<Vec<u8>>>>, buffer: &mut Vec<u8>) {
    // When the thread is ending there is nothing to keep it for.
    let _ = kept.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(std::mem::take(buffer));
        }
    });
}

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static BYTES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Fresh memory has to be zeroed page by page, which costs more than a copy; but a thread that made
/// one very large call needn't hold on to its memory.
const KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A call within a call needs a second one; more are rare.
const KEPT_MAX: usize = 4;
