//! The messages of the floors: two words, what and a number.

use bench_harness::Result;

/// A message, either way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) what: What,
    pub(crate) number: u64,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum What {
    /// A number that comes back, one more.
    Null = 0,
    /// A file and an event; the event comes back.
    Handles = 1,
    /// A file and an event to wait for; another event comes back.
    Sparkle = 2,
    /// So many bytes follow, and come back.
    Bytes = 3,
    /// So many bytes are in the arena, and come back there.
    Arena = 4,
    /// So many bytes are in the memory file that comes along, and come back in another one.
    Memory = 5,
    /// The two arenas.
    Arenas = 6,
    /// Many files; their number comes back.
    Many = 7,
    /// So many bytes will come at once, at the most.
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
