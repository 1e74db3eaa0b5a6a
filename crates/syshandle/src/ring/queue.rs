//! The frames in a ring: a queue of bytes with one writer and one reader.
//!
//! Positions count all bytes since the start. Each side keeps its own position in private memory,
//! and checks each position and length of the peer once, before its use.

use syshandle_wire::{Header, RingLayout, Violation};

use super::access::RingAccess;

/// The writing end of a ring.
#[derive(Debug)]
pub(super) struct RingWriter {
    capacity: u64,
    written: u64,
    /// The last known position of the reader.
    read: u64,
}

/// The reading end of a ring.
#[derive(Debug)]
pub(super) struct RingReader {
    capacity: u64,
    read: u64,
    /// The last known position of the writer.
    written: u64,
}

impl RingWriter {
    /// Starts to write an empty ring in a half of this length.
    pub(super) fn new(half_len: usize) -> Self {
        Self { capacity: RingLayout::capacity(half_len) as u64, written: 0, read: 0 }
    }

    /// Writes a frame, unless less than `reserve` bytes would be left. Returns whether the frame was
    /// written.
    ///
    /// # Errors
    /// The reader's position is impossible.
    pub(super) fn push(
        &mut self,
        memory: &impl RingAccess,
        frame: &[u8],
        reserve: usize,
    ) -> Result<bool, Violation> {
        let len = RingLayout::record_len(frame.len()) as u64;
        let needed = len + reserve as u64;
        if self.capacity - (self.written - self.read) < needed {
            self.learn_read(memory)?;
            if self.capacity - (self.written - self.read) < needed {
                return Ok(false);
            }
        }
        let at = self.written % self.capacity;
        memory.write(RingLayout::DATA + at as usize, &(frame.len() as u64).to_le_bytes());
        let at = (at + RingLayout::RECORD_HEAD as u64) % self.capacity;
        let until_end = ((self.capacity - at) as usize).min(frame.len());
        let (first, second) = frame.split_at(until_end);
        memory.write(RingLayout::DATA + at as usize, first);
        memory.write(RingLayout::DATA, second);
        self.written += len;
        memory.store(RingLayout::WRITTEN, self.written);
        Ok(true)
    }

    /// Returns whether the reader has read everything.
    ///
    /// # Errors
    /// The reader's position is impossible.
    pub(super) fn is_empty(&mut self, memory: &impl RingAccess) -> Result<bool, Violation> {
        self.learn_read(memory)?;
        Ok(self.read == self.written)
    }

    fn learn_read(&mut self, memory: &impl RingAccess) -> Result<(), Violation> {
        let read = memory.load(RingLayout::READ);
        if read < self.read || read > self.written {
            return Err(Violation::BadRing);
        }
        self.read = read;
        Ok(())
    }
}

impl RingReader {
    /// Starts to read an empty ring in a half of this length.
    pub(super) fn new(half_len: usize) -> Self {
        Self { capacity: RingLayout::capacity(half_len) as u64, read: 0, written: 0 }
    }

    /// Returns whether there is a frame.
    ///
    /// # Errors
    /// The writer's position is impossible.
    #[inline]
    pub(super) fn has_frame(&mut self, memory: &impl RingAccess) -> Result<bool, Violation> {
        if self.read == self.written {
            let written = memory.load(RingLayout::WRITTEN);
            let is_possible = written.checked_sub(self.read).is_some_and(|new| {
                new <= self.capacity && new % RingLayout::RECORD_HEAD as u64 == 0
            });
            if !is_possible {
                return Err(Violation::BadRing);
            }
            self.written = written;
        }
        Ok(self.read < self.written)
    }

    /// Copies the next frame into `out` and returns its length; `None` if there is no frame.
    ///
    /// # Errors
    /// The writer's position or the length of the frame is impossible.
    #[inline]
    pub(super) fn pop(
        &mut self,
        memory: &impl RingAccess,
        out: &mut [u8],
    ) -> Result<Option<usize>, Violation> {
        if !self.has_frame(memory)? {
            return Ok(None);
        }
        let at = self.read % self.capacity;
        let mut head = [0; RingLayout::RECORD_HEAD];
        memory.read(RingLayout::DATA + at as usize, &mut head);
        let len = usize::try_from(u64::from_le_bytes(head)).unwrap_or(usize::MAX);
        if len < Header::LEN || len > out.len() {
            return Err(Violation::BadRing);
        }
        let record_len = RingLayout::record_len(len) as u64;
        if record_len > self.written - self.read {
            return Err(Violation::BadRing);
        }
        let at = (at + RingLayout::RECORD_HEAD as u64) % self.capacity;
        let until_end = ((self.capacity - at) as usize).min(len);
        let (first, second) = out[..len].split_at_mut(until_end);
        memory.read(RingLayout::DATA + at as usize, first);
        memory.read(RingLayout::DATA, second);
        self.read += record_len;
        memory.store(RingLayout::READ, self.read);
        Ok(Some(len))
    }
}
