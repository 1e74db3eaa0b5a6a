//! On which core the sender of a frame ran: a hint for whoever waits for the other side.
//!
//! To sleep and be woken costs tens of microseconds where that wakes a core that idles, and next to
//! nothing where both sides share a core; to look again and again for a message is the other way
//! round. Neither side can know which it is unless it is told, and to find out by trying costs a
//! call each time and fails on a busy machine. So each frame says it, in bits that it has anyway.
//! Whoever lies only has the other side wait in the worse way.

use crate::Header;

/// On which core somebody runs, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts(u8);

impl Whereabouts {
    /// On this core. Two of a large machine's cores may look the same: then one sleeps where it had
    /// better look.
    #[inline]
    pub fn on_core(core: usize) -> Self {
        Self((core % CORES) as u8 + 1)
    }

    /// What the sender of a frame says, whatever else is in the frame.
    #[inline]
    pub fn of_sender(frame: &[u8]) -> Self {
        Self(frame.get(AT).map_or(0, |flags| (flags & BITS) >> SHIFT))
    }

    /// Says it with a header that was written.
    #[inline]
    pub fn write(self, head: &mut [u8; Header::LEN_MAX]) {
        head[AT] = head[AT] & !BITS | self.0 << SHIFT;
    }

    /// From [`Whereabouts::as_byte`].
    #[inline]
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// As a byte, to be kept.
    #[inline]
    pub fn as_byte(self) -> u8 {
        self.0
    }

    /// Whether this is said to be the same core as another; `None` where one isn't said.
    #[inline]
    pub fn is(self, other: Self) -> Option<bool> {
        (self.0 != 0 && other.0 != 0).then_some(self == other)
    }
}

/// The byte of the flags.
const AT: usize = 1;

/// The lowest of the bits in it.
const SHIFT: u32 = 1;

/// All of them.
pub(crate) const BITS: u8 = 0b0111_1110;

/// So many cores can be told apart; one number says nothing.
const CORES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameKind;

    #[test]
    fn a_frame_says_where_its_sender_ran_and_means_the_same() {
        for core in [0, 1, 62, 63, 1000] {
            let mut head = [0; Header::LEN_MAX];
            let header = Header::new(FrameKind::Bye);
            let len = header.write(&mut head);
            assert_eq!(Whereabouts::of_sender(&head), Whereabouts::default());
            let here = Whereabouts::on_core(core);
            here.write(&mut head);
            assert_eq!(Whereabouts::of_sender(&head), here);
            assert_eq!(Header::read(&head[..len]), Ok((header, &b""[..])));
        }
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let (unknown, here) = (Whereabouts::of_sender(&[]), Whereabouts::on_core(0));
        assert_eq!(unknown.is(here), None);
        assert_eq!(here.is(unknown), None);
        assert_eq!(here.is(here), Some(true));
        assert_eq!(here.is(Whereabouts::on_core(1)), Some(false));
    }
}
