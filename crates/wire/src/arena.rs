//! Allocates ranges of the shared memory for one direction of a connection.

use syshandle_types::{BodySize, Limits};

/// The ranges of shared memory that contain messages which the receiver has not released yet.
///
/// [`Ranges::take`] uses the lowest free range, so that few pages are in use and they are reused.
#[derive(Debug)]
pub struct Ranges {
    /// Start and end offsets of the allocated ranges, sorted. There is at most one range per call
    /// in flight.
    taken: Vec<(u32, u32)>,
    /// The size of the memory in bytes.
    size: usize,
}

impl Default for Ranges {
    fn default() -> Self {
        Self { taken: Vec::new(), size: Limits::ARENA_BYTES }
    }
}

impl Ranges {
    /// Sets the size of the memory, which may be smaller than [`Limits::ARENA_BYTES`].
    pub fn set_size(&mut self, size: usize) {
        self.size = size.min(Limits::ARENA_BYTES);
    }

    /// Returns the end of the last allocated range, or 0 if none is allocated.
    pub fn end(&self) -> usize {
        self.taken.last().map_or(0, |(_, end)| *end as usize)
    }

    /// Allocates a range. Returns `None` if no free range is large enough.
    ///
    /// If possible, the range is placed so that the largest part of the message starts at a cache
    /// line boundary. Copying takes up to a third longer if source and destination have different
    /// offsets within a cache line. It takes nine times as long if their offsets within a page
    /// differ by less than 32 bytes (measured on an AMD EPYC). That would be common, because large
    /// vectors start 16 bytes after a page boundary, and a length precedes their bytes in a
    /// message.
    pub fn take(&mut self, size: impl Into<BodySize>) -> Option<u32> {
        let BodySize { len, ahead } = size.into();
        let pad = ahead.next_multiple_of(ALIGNMENT) - ahead;
        self.take_behind(pad, len).or_else(|| self.take_behind(0, len))
    }

    /// Allocates a range of `len` bytes that starts `pad` bytes after a cache line boundary.
    fn take_behind(&mut self, pad: usize, len: usize) -> Option<u32> {
        let padded = pad.checked_add(len)?.checked_next_multiple_of(ALIGNMENT)?;
        let padded = u32::try_from(padded).ok()?;
        let mut start = 0;
        let mut place = self.taken.len();
        for (i, &(offset, end)) in self.taken.iter().enumerate() {
            if offset - start >= padded {
                place = i;
                break;
            }
            start = end;
        }
        // The last cache line may be incomplete, if the size of the memory is not a multiple of the
        // alignment.
        if start as usize + padded as usize > self.size.next_multiple_of(ALIGNMENT)
            || start as usize + pad + len > self.size
        {
            return None;
        }
        let offset = start + pad as u32;
        self.taken.insert(place, (offset, start + padded));
        Some(offset)
    }

    /// Releases the range that starts at `offset`. Returns `false` if there is none.
    #[must_use]
    pub fn give_back(&mut self, offset: u32) -> bool {
        let place = self.taken.binary_search_by_key(&offset, |range| range.0);
        place.map(|i| self.taken.remove(i)).is_ok()
    }
}

/// Size of a cache line in bytes. No two ranges share a cache line.
const ALIGNMENT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_place_that_fits_is_taken() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.take(100), Some(0));
        assert_eq!(ranges.take(64), Some(128));
        assert_eq!(ranges.take(1), Some(192));
        assert!(ranges.give_back(128));
        assert_eq!(ranges.take(65), Some(256));
        assert_eq!(ranges.take(64), Some(128));
    }

    #[test]
    fn large_copies_are_aligned_to_cache_lines_if_they_fit() {
        let mut ranges = Ranges::default();
        let size = |len| BodySize { len, ahead: 4 };
        assert_eq!(ranges.take(size(100)), Some(60));
        assert_eq!(ranges.take(64), Some(192));
        assert!(ranges.give_back(60));
        assert_eq!(ranges.take(size(133)), Some(316), "the range must not overlap the one at 192");
        assert_eq!(ranges.take(size(132)), Some(60));
        assert!([60, 192, 316].into_iter().all(|offset| ranges.give_back(offset)));
        assert_eq!(ranges.take(size(Limits::ARENA_BYTES)), Some(0));
    }

    #[test]
    fn no_more_than_all_is_taken() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.take(Limits::ARENA_BYTES), Some(0));
        assert_eq!(ranges.take(1), None);
        assert!(ranges.give_back(0));
        assert_eq!(ranges.take(Limits::ARENA_BYTES + 1), None);
        assert_eq!(ranges.take(usize::MAX), None);
    }

    #[test]
    fn a_smaller_memory_is_used_to_its_end_and_not_beyond() {
        let mut ranges = Ranges::default();
        ranges.set_size(1000);
        assert_eq!(ranges.take(1001), None);
        assert_eq!(ranges.end(), 0);
        assert_eq!(ranges.take(960), Some(0));
        assert_eq!(ranges.take(41), None);
        assert_eq!(ranges.take(40), Some(960));
        assert_eq!(ranges.end(), 1024);
        assert!(ranges.give_back(960));
        assert_eq!(ranges.end(), 960);
        ranges.set_size(usize::MAX);
        assert_eq!(ranges.take(Limits::ARENA_BYTES - 960), Some(960));
    }

    #[test]
    fn unallocated_ranges_cannot_be_freed() {
        let mut ranges = Ranges::default();
        assert!(!ranges.give_back(0));
        ranges.take(128);
        assert!(!ranges.give_back(64));
        assert!(ranges.give_back(0));
        assert!(!ranges.give_back(0));
    }
}
