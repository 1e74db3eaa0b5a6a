//! The CPU core on which the sender of a frame ran, as a hint for a receiver that waits for the
//! next frame.
//!
//! Sleeping costs tens of microseconds if waking up has to start an idle core, and almost nothing
//! if both sides share a core. Spinning is cheap in the first case and expensive in the second.
//! Neither side can determine cheaply which case applies: trying costs a call each time and gives
//! wrong results on a busy machine. So each frame contains the sender's core. A false hint only
//! makes the receiver wait less efficiently.

use crate::Header;

/// The core on which one side of a connection runs, or "unknown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreHint(u8);

impl CoreHint {
    /// Encodes the index of a core. On a machine with many cores, two cores may get the same value.
    /// A thread may then sleep when spinning would be better.
    #[inline]
    pub fn on_core(core: usize) -> Self {
        Self((core % CORES) as u8 + 1)
    }

    /// Reads the hint from a received frame, which need not be valid.
    #[inline]
    pub fn of_sender(frame: &[u8]) -> Self {
        Self(frame.get(AT).map_or(0, |byte| byte & BITS))
    }

    /// Stores the hint in an encoded header.
    #[inline]
    pub fn write(self, head: &mut [u8; Header::LEN_MAX]) {
        head[AT] = self.0;
    }

    /// Restores a hint from [`CoreHint::as_byte`].
    #[inline]
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// Returns the hint as a byte, for storage.
    #[inline]
    pub fn as_byte(self) -> u8 {
        self.0
    }

    /// Returns whether both hints are for the same core, or `None` if one is unknown.
    #[inline]
    pub fn is(self, other: Self) -> Option<bool> {
        (self.0 != 0 && other.0 != 0).then_some(self == other)
    }
}

/// Offset of the hint in the header.
const AT: usize = 1;

/// Mask of the hint's bits. The other bits of the byte are reserved.
const BITS: u8 = 0b0011_1111;

/// Number of distinct cores that a hint can express. The value 0 means "unknown".
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
