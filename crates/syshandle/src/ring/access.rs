//! Accesses to the memory of a ring. Tests replace them by a memory with store buffers.

use std::io;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use syshandle_os::RingMemory;

use crate::sync::wait_for_word;

/// The accesses of one side: it stores to its own half of the memory, and loads from the peer's.
/// Offsets are in bytes and multiples of 8, except that a range may end anywhere.
pub(super) trait RingAccess {
    /// Loads a word of the peer. Later loads see what the peer stored before the word.
    fn load(&self, at: usize) -> u64;

    /// Stores a word of this side, after all earlier stores.
    fn store(&self, at: usize, value: u64);

    /// Copies bytes of the peer.
    fn read(&self, at: usize, out: &mut [u8]);

    /// Copies bytes to the half of this side.
    fn write(&self, at: usize, bytes: &[u8]);

    /// Makes all earlier stores visible before any later load.
    fn fence(&self);

    /// Wakes the peer if it waits for a word of this side.
    fn wake(&self, at: usize);

    /// Waits while the lower half of a peer's word has the value `expected`, up to `until`. May end
    /// early.
    fn wait(&self, at: usize, expected: u32, until: Instant) -> io::Result<()>;
}

/// Accesses outside the memory, and those of a forked child, do nothing. Its readers find the
/// position 0 then, which is either an empty ring or a violation.
impl RingAccess for RingMemory {
    #[inline]
    fn load(&self, at: usize) -> u64 {
        RingMemory::load(self, at).unwrap_or_default()
    }

    #[inline]
    fn store(&self, at: usize, value: u64) {
        let _ = RingMemory::store(self, at, value);
    }

    #[inline]
    fn read(&self, at: usize, out: &mut [u8]) {
        if !RingMemory::read(self, at, out) {
            out.fill(0);
        }
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) {
        let _ = RingMemory::write(self, at, bytes);
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn wake(&self, at: usize) {
        RingMemory::wake(self, at);
    }

    fn wait(&self, at: usize, expected: u32, until: Instant) -> io::Result<()> {
        wait_for_word(self, at, expected, until)
    }
}
