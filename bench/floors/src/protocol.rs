//! The messages of the floors: two words, for the type and a number.

use bench_harness::Result;

/// A request or a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) what: What,
    pub(crate) number: u64,
}

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum What {
    /// A number; the reply is its successor.
    Null = 0,
    /// A file and an event; the reply has the event.
    Handles = 1,
    /// A file and an event to wait for; the reply has another event.
    Sparkle = 2,
    /// Followed by this number of bytes, which the reply returns.
    Bytes = 3,
    /// This number of bytes is in the arena; the reply returns them in the other arena.
    Arena = 4,
    /// This number of bytes is in the attached memory file; the reply returns them in another one.
    Memory = 5,
    /// The two arenas.
    Arenas = 6,
    /// Many files; the reply has their number.
    Many = 7,
    /// The maximum number of bytes in the following messages.
    Room = 8,
}

impl Message {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn write(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&(self.what as u64).to_ne_bytes());
        bytes[8..].copy_from_slice(&self.number.to_ne_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8; Self::LEN]) -> Result<Self> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(word)
        };
        let what = match word(0) {
            0 => What::Null,
            1 => What::Handles,
            2 => What::Sparkle,
            3 => What::Bytes,
            4 => What::Arena,
            5 => What::Memory,
            6 => What::Arenas,
            7 => What::Many,
            8 => What::Room,
            _ => return Err("not a message of the floors".into()),
        };
        Ok(Self { what, number: word(8) })
    }
}
