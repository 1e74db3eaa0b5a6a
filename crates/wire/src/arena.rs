//! Who uses which part of the shared memory of one direction.

use crate::Limits;

/// The ranges of shared memory that its writer has given to messages and not got back.
///
/// The lowest free place is taken first, so that the same few pages are used again and again.
#[derive(Debug, Default)]
pub struct Ranges {
    /// Offset and length, by offset; there are as many as calls in flight, at the most.
    taken: Vec<(u32, u32)>,
}

impl Ranges {
    /// Takes a range; `None` when no free one is that large.
    pub fn take(&mut self, len: usize) -> Option<u32> {
        let len = u32::try_from(len.checked_next_multiple_of(ALIGNMENT)?).ok()?;
        let mut start = 0;
        let mut place = self.taken.len();
        for (i, &(offset, taken)) in self.taken.iter().enumerate() {
            if offset - start >= len {
                place = i;
                break;
            }
            start = offset + taken;
        }
        if start as usize + len as usize > Limits::ARENA_BYTES {
            return None;
        }
        self.taken.insert(place, (start, len));
        Some(start)
    }

    /// Takes a range back; `false` when none starts there.
    #[must_use]
    pub fn give_back(&mut self, offset: u32) -> bool {
        let place = self.taken.binary_search_by_key(&offset, |range| range.0);
        place.map(|i| self.taken.remove(i)).is_ok()
    }
}

/// A cache line: neighbours don't share one.
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
    fn no_more_than_all_is_taken() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.take(Limits::ARENA_BYTES), Some(0));
        assert_eq!(ranges.take(1), None);
        assert!(ranges.give_back(0));
        assert_eq!(ranges.take(Limits::ARENA_BYTES + 1), None);
        assert_eq!(ranges.take(usize::MAX), None);
    }

    #[test]
    fn what_was_not_taken_cannot_be_given_back() {
        let mut ranges = Ranges::default();
        assert!(!ranges.give_back(0));
        ranges.take(128);
        assert!(!ranges.give_back(64));
        assert!(ranges.give_back(0));
        assert!(!ranges.give_back(0));
    }
}
