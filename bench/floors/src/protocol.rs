//! The messages of the floors. Each consists of two words: its type and a number.

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
    /// A null call. The reply has the successor of the number.
    Null = 0,
    /// Carries a file and an event. The reply returns the event.
    Handles = 1,
    /// Carries a file and an event to wait for. The reply returns a second event, which the server
    /// sets when it has written to the file.
    Sparkle = 2,
    /// Announces the number of bytes that follow. The reply returns these bytes.
    Bytes = 3,
    /// Tells the number of bytes in the client's arena. The server returns these bytes in its own
    /// arena.
    Arena = 4,
    /// Carries a memory file with this number of bytes. The reply returns the bytes in a second
    /// memory file.
    Memory = 5,
    /// Carries the two arenas, and tells their size.
    Arenas = 6,
    /// Carries many files. The reply tells how many arrived.
    Many = 7,
    /// Sets the maximum number of bytes in the messages that follow.
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
