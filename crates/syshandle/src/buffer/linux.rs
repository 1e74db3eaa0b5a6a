//! Buffers for frames, which each thread keeps between calls.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

use syshandle_wire::Header;

/// A buffer of [`Header::FRAME_MAX`] bytes. Dropping it returns it to the current thread.
pub(crate) struct FrameBuffer(Option<Box<RawFrame>>);

type RawFrame = [u8; Header::FRAME_MAX];

impl FrameBuffer {
    /// Takes a buffer of this thread, or allocates one. Its contents are arbitrary.
    #[inline]
    pub(crate) fn take() -> Self {
        Self(take(&FRAMES).or_else(fresh))
    }
}

/// Allocates a buffer directly on the heap. The stack of a thread may be too small for a temporary
/// copy.
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

/// Takes an empty vector. It usually has the capacity that earlier calls of this thread needed.
#[inline]
pub(crate) fn take_bytes() -> Vec<u8> {
    take(&BYTES).unwrap_or_default()
}

/// Keeps a vector, so that the next call of this thread can reuse its capacity.
#[inline]
pub(crate) fn give_bytes(mut bytes: Vec<u8>) {
    if (1..=CACHED_BYTES_MAX).contains(&bytes.capacity()) {
        bytes.clear();
        give(&BYTES, bytes);
    }
}

/// The buffers that a thread keeps: one for a call, and one for a nested call. Deeper nesting is
/// rare.
type BufferCache<T> = [Cell<Option<T>>; 2];

#[inline]
fn take<T>(kept: &'static LocalKey<BufferCache<T>>) -> Option<T> {
    // The access fails while the thread exits. Then a new buffer is allocated.
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

/// Maximum capacity of a vector that a thread keeps. Reuse is worthwhile because the kernel zeroes
/// new memory page by page, which costs more than a copy. The limit prevents that a thread keeps
/// the memory of a single very large call.
const CACHED_BYTES_MAX: usize = 2 * 1024 * 1024;
