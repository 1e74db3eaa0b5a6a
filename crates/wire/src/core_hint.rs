//! The core on which the sender of a frame ran: a hint for the side that waits for a frame.
//!
//! Sleeping costs tens of microseconds if the wake-up must start an idle core, and almost nothing
//! if both sides share a core. Spinning is cheap in the first case and expensive in the second.
//! Neither side can know which case applies unless it is told: finding out by trying costs a call
//! each time and fails on a busy machine. So each frame carries the sender's core in otherwise
//! unused bits. A sender that lies only makes the peer wait less efficiently.

use crate::Header;

/// The core on which one side runs, or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreHint(u8);

impl CoreHint {
    /// Encodes a core number. On a large machine, two cores may map to one value; a thread may then
    /// sleep when spinning would be better.
    #[inline]
    pub fn on_core(core: usize) -> Self {
        Self((core % CORES) as u8 + 1)
    }

    /// Reads the core of the sender from a frame; the rest of the frame may have any content.
    #[inline]
    pub fn of_sender(frame: &[u8]) -> Self {
        Self(frame.get(AT).map_or(0, |flags| (flags & BITS) >> SHIFT))
    }

    /// Stores the core in an encoded header.
    #[inline]
    pub fn write(self, head: &mut [u8; Header::LEN_MAX]) {
        head[AT] = head[AT] & !BITS | self.0 << SHIFT;
    }

    /// Restores a value from [`CoreHint::as_byte`].
    #[inline]
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// Returns the value as a byte, for storage.
    #[inline]
    pub fn as_byte(self) -> u8 {
        self.0
    }

    /// Returns whether both values name the same core, or `None` if one is unknown.
    #[inline]
    pub fn is(self, other: Self) -> Option<bool> {
        (self.0 != 0 && other.0 != 0).then_some(self == other)
    }
}

/// Index of the flags byte in the header.
const AT: usize = 1;

/// Position of the lowest bit of the core in the flags byte.
const SHIFT: u32 = 1;

/// Mask of the bits of the core.
pub(crate) const BITS: u8 = 0b0111_1110;

/// Number of cores that can be distinguished. The value 0 means unknown.
const CORES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameKind;

    #[test]
    fn the_core_of_the_sender_survives_a_round_trip() {
        for core in [0, 1, 62, 63, 1000] {
            let mut head = [0; Header::LEN_MAX];
            let header = Header::new(FrameKind::Bye);
            let len = header.write(&mut head);
            assert_eq!(CoreHint::of_sender(&head), CoreHint::default());
            let here = CoreHint::on_core(core);
            here.write(&mut head);
            assert_eq!(CoreHint::of_sender(&head), here);
            assert_eq!(Header::read(&head[..len]), Ok((header, &b""[..])));
        }
    }

    #[test]
    fn an_absent_core_is_unknown() {
        let (unknown, here) = (CoreHint::of_sender(&[]), CoreHint::on_core(0));
        assert_eq!(unknown.is(here), None);
        assert_eq!(here.is(unknown), None);
        assert_eq!(here.is(here), Some(true));
        assert_eq!(here.is(CoreHint::on_core(1)), Some(false));
    }
}
