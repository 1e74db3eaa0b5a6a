//! The limits of a connection, each with its reason.

/// What one side takes from the other. The server's are part of its greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of arguments or results in one call.
    pub message_bytes_max: u32,
    /// Handles in one call.
    pub handles_max: u16,
    /// Calls of one connection that run or wait to run.
    pub calls_max: u16,
}

impl Limits {
    /// Values this large travel in the frame itself; larger ones through shared memory. Past it
    /// the copy through a socket costs more than one out of shared memory.
    pub const INLINE_BYTES_MAX: usize = 32 * 1024;

    /// The shared memory of one direction, and so the largest message.
    pub const ARENA_BYTES: usize = 16 * 1024 * 1024;

    /// What the kernel passes with one message (`SCM_MAX_FD`).
    pub const HANDLES_MAX: u16 = 253;

    /// Calls of one connection at once: enough to keep every core busy, and few enough that the
    /// replies of a client that doesn't read stay a small debt.
    pub const CALLS_MAX: u16 = 64;

    /// Memory that decoded values may take for each byte of their message: an `Option<String>` of one
    /// byte takes 24.
    pub const DECODED_PER_BYTE: usize = 32;

    /// Memory that the values of any message may take, however short it is.
    pub const DECODED_BYTES_MIN: usize = 1024 * 1024;

    /// Memory that the values of a message may take at most: eight times the largest message.
    pub const DECODED_BYTES_MAX: usize = 8 * Self::ARENA_BYTES;

    /// Values within values: user types may refer to themselves, and the stack is finite.
    pub const DEPTH_MAX: u32 = 64;

    /// Ranges of shared memory given back in one frame.
    pub const RELEASES_MAX: usize = 16;

    /// Interfaces that one greeting can offer: it has to fit a frame.
    pub const OFFERS_MAX: usize = 512;

    /// The longest text that a fault or an error carries; the rest is cut off.
    pub const TEXT_BYTES_MAX: usize = 4096;
}

impl Limits {
    /// The lower one of each limit.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            message_bytes_max: self.message_bytes_max.min(other.message_bytes_max),
            handles_max: self.handles_max.min(other.handles_max),
            calls_max: self.calls_max.min(other.calls_max),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: Self::ARENA_BYTES as u32,
            handles_max: Self::HANDLES_MAX,
            calls_max: Self::CALLS_MAX,
        }
    }
}
