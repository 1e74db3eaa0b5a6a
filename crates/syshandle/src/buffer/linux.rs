//! Buffers for frames, which each thread keeps between calls.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

use syshandle_wire::Header;

/// A buffer of [`Header::FRAME_MAX`] bytes. Dropping it returns it to the current thread.
pub(crate) struct FrameBuffer(Option<Box<RawFrame>>);

type RawFrame = [u8; Header::FRAME_MAX];

impl FrameBuffer {
    /// Takes a buffer with arbitrary contents.
    #[inline]
    pub(crate) fn take() -> Self {
        Self(take(&FRAMES).or_else(fresh))
    }
}

/// Allocates on the heap directly, because a thread's stack may be too small for a temporary copy.
#[cold]
fn fresh() -> Option<Box<RawFrame>> {
    vec![0; Header::FRAME_MAX].try_into().ok()
}

impl Deref for FrameBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |frame| &frame[..])
    }
}

impl DerefMut for FrameBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |frame| &mut frame[..])
    }
}

impl std::fmt::Debug for FrameBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameBuffer").finish_non_exhaustive()
    }
}

impl Drop for FrameBuffer {
    #[inline]
    fn drop(&mut self) {
        if let Some(frame) = self.0.take() {
            give(&FRAMES, frame);
        }
    }
}

/// Takes an empty vector with the capacity of earlier calls.
#[inline]
pub(crate) fn take_bytes() -> Vec<u8> {
    take(&BYTES).unwrap_or_default()
}

/// Keeps the capacity of a vector for the next call of this thread.
#[inline]
pub(crate) fn give_bytes(mut bytes: Vec<u8>) {
    if (1..=CACHED_BYTES_MAX).contains(&bytes.capacity()) {
        bytes.clear();
        give(&BYTES, bytes);
    }
}

/// The buffers of a thread: one for a call, and one for a nested call. More are rare.
type BufferCache<T> = [Cell<Option<T>>; 2];

#[inline]
fn take<T>(kept: &'static LocalKey<BufferCache<T>>) -> Option<T> {
    // An ending thread keeps no buffers.
    kept.try_with(|[first, second]| first.take().or_else(|| second.take())).ok()?
}

#[inline]
fn give<T>(kept: &'static LocalKey<BufferCache<T>>, buffer: T) {
    let _ = kept.try_with(|[first, second]| {
        if let Some(other) = first.replace(Some(buffer)) {
            second.set(Some(other));
        }
    });
}

thread_local! {
    static FRAMES: BufferCache<Box<RawFrame>> = const { [const { Cell::new(None) }; 2] };
    static BYTES: BufferCache<Vec<u8>> = const { [const { Cell::new(None) }; 2] };
}

/// Maximum capacity of a kept vector. The kernel zeroes new memory page by page, which costs more
/// than a copy. But a thread should not keep the memory of a single very large call.
const CACHED_BYTES_MAX: usize = 2 * 1024 * 1024;
