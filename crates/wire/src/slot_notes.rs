//! The body of the frame that tells what happens to slots of registered handles.

use syshandle_types::Limits;

use crate::{Body, FrameKind, Header, SlotId, Violation};

/// What happens to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotNote {
    /// The receiver of a handle has kept it.
    Kept {
        /// Token of the request.
        token: u16,
        /// The slot that holds the handle.
        slot: SlotId,
    },
    /// The receiver of a handle does not keep it.
    Declined {
        /// Token of the request.
        token: u16,
    },
    /// The receiver no longer holds the handle. The sender answers with `Released`.
    TakenBack(SlotId),
    /// The sender no longer names the slot, so the receiver may use it again.
    Released(SlotId),
}

/// The notes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotNotes<'f>(&'f [u8]);

impl<'f> SlotNotes<'f> {
    /// Maximum count of notes in a frame.
    pub const MAX: usize = Limits::INLINE_BYTES_MAX / NOTE_LEN;

    /// Returns the frame with these notes.
    pub fn write(notes: &[SlotNote]) -> (Header, Vec<u8>) {
        let mut body = Vec::with_capacity(NOTE_LEN * notes.len());
        for note in notes {
            let none = SlotId { slot: 0, generation: 0 };
            let (kind, token, SlotId { slot, generation }) = match *note {
                SlotNote::Kept { token, slot } => (KEPT, token, slot),
                SlotNote::Declined { token } => (DECLINED, token, none),
                SlotNote::TakenBack(slot) => (TAKEN_BACK, 0, slot),
                SlotNote::Released(slot) => (RELEASED, 0, slot),
            };
            body.extend([kind, 0]);
            body.extend(token.to_le_bytes());
            body.extend(slot.to_le_bytes());
            body.extend([0, 0]);
            body.extend(generation.to_le_bytes());
        }
        let inline = Body::Inline { len: body.len() as u32 };
        (Header { body: inline, ..Header::new(FrameKind::Slots) }, body)
    }

    /// Parses the body of the frame.
    ///
    /// # Errors
    /// [`Violation::WrongLength`].
    pub fn read(body: &'f [u8]) -> Result<Self, Violation> {
        match body.len() % NOTE_LEN {
            0 => Ok(Self(body)),
            _ => Err(Violation::WrongLength),
        }
    }

    /// Returns the notes.
    ///
    /// # Errors
    /// [`Violation::BadSlotNote`].
    pub fn iter(self) -> impl Iterator<Item = Result<SlotNote, Violation>> + use<'f> {
        let notes = self.0.chunks_exact(NOTE_LEN).filter_map(<[u8]>::first_chunk::<NOTE_LEN>);
        notes.map(|&[kind, _, t0, t1, s0, s1, _, _, g0, g1, g2, g3]| {
            let token = u16::from_le_bytes([t0, t1]);
            let slot = u16::from_le_bytes([s0, s1]);
            let slot = SlotId { slot, generation: u32::from_le_bytes([g0, g1, g2, g3]) };
            Ok(match kind {
                KEPT => SlotNote::Kept { token, slot },
                DECLINED => SlotNote::Declined { token },
                TAKEN_BACK => SlotNote::TakenBack(slot),
                RELEASED => SlotNote::Released(slot),
                kind => return Err(Violation::BadSlotNote(kind)),
            })
        })
    }
}

/// Size of a note, in bytes: its type, a reserved byte, the token, the slot, two reserved bytes and
/// the generation.
const NOTE_LEN: usize = 12;

// Types of notes.
const KEPT: u8 = 1;
const DECLINED: u8 = 2;
const TAKEN_BACK: u8 = 3;
const RELEASED: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_round_trip() {
        let slot = SlotId { slot: 513, generation: u32::MAX };
        let notes = [
            SlotNote::Kept { token: u16::MAX, slot },
            SlotNote::Declined { token: 1 },
            SlotNote::TakenBack(slot),
            SlotNote::Released(slot),
        ];
        let (header, body) = SlotNotes::write(&notes);
        assert_eq!(header.body, Body::Inline { len: 48 });
        let read: Result<Vec<_>, _> = SlotNotes::read(&body).unwrap().iter().collect();
        assert_eq!(read.unwrap(), notes);
        assert_eq!(SlotNotes::read(&body[..47]), Err(Violation::WrongLength));
        for kind in [0, 5, u8::MAX] {
            let mut bad = body.clone();
            bad[36] = kind;
            let mut notes = SlotNotes::read(&bad).unwrap().iter();
            assert_eq!(notes.nth(3), Some(Err(Violation::BadSlotNote(kind))));
        }
    }
}
