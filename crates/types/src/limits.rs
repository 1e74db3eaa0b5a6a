//! The limits of a connection and their reasons.

/// The limits that one side imposes on the other. The server's limits are part of its greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of arguments or results in one call.
    pub message_bytes_max: u32,
    /// Handles of arguments or results in one call.
    pub handles_max: u16,
    /// Calls of one connection that run or are queued.
    pub calls_max: u16,
}

impl Limits {
    /// Values up to this size travel in the frame itself, larger ones through shared memory. Above
    /// it, a copy through a socket costs more than a copy from shared memory.
    pub const INLINE_BYTES_MAX: usize = 32 * 1024;

    /// Size of the shared memory of one direction, and thus of the largest message.
    pub const ARENA_BYTES: usize = 16 * 1024 * 1024;

    /// Limit of the kernel for one message (`SCM_MAX_FD`).
    pub const HANDLES_MAX: u16 = 253;

    /// Calls in flight on one connection. The limit is high enough to keep every core busy, and low
    /// enough that the unread replies of a client take little memory.
    pub const CALLS_MAX: u16 = 64;

    /// Memory that decoded values may take per byte of their message. For example, an
    /// `Option<String>` of one byte takes 24.
    pub const DECODED_PER_BYTE: usize = 32;

    /// Memory that the values of any message may take, however short the message is.
    pub const DECODED_BYTES_MIN: usize = 1024 * 1024;

    /// Maximum memory of the values of a message: eight times the largest message.
    pub const DECODED_BYTES_MAX: usize = 8 * Self::ARENA_BYTES;

    /// Depth of nested values. User types may refer to themselves, and the stack is finite.
    pub const DEPTH_MAX: u32 = 64;

    /// Ranges of shared memory that one frame can release.
    pub const RELEASES_MAX: usize = 16;

    /// Interfaces that one greeting can offer, so that it fits in a frame.
    pub const OFFERS_MAX: usize = 512;

    /// Maximum length of a text in a fault or an error. Longer texts are cut off.
    pub const TEXT_BYTES_MAX: usize = 4096;
}

impl Limits {
    /// Returns the lower value of each limit.
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
