//! The limits of a connection, and the reasons for their values.

/// The limits that one side imposes on the other. The server's limits are part of its greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size in bytes of the arguments or results of one call.
    pub message_bytes_max: u32,
    /// Maximum number of handles in the arguments or results of one call.
    pub handles_max: u16,
    /// Maximum number of calls that run or are queued on one connection.
    pub calls_max: u16,
}

impl Limits {
    /// Maximum size of a value that is part of a frame. Larger values travel through shared memory,
    /// because copying them through a socket would take longer.
    pub const INLINE_BYTES_MAX: usize = 32 * 1024;

    /// Size of the shared memory for one direction of a connection, and thus of the largest
    /// message.
    pub const ARENA_BYTES: usize = 16 * 1024 * 1024;

    /// Maximum number of handles in a message, which is the kernel's `SCM_MAX_FD`.
    pub const HANDLES_MAX: u16 = 253;

    /// Maximum number of entries in the table of a message, so that the table fits in a frame.
    pub const ENTRIES_MAX: usize = 4096;

    /// Maximum number of calls in flight on one connection. The number is high enough to keep every
    /// core busy, and low enough that the unread replies of a client take little memory.
    pub const CALLS_MAX: u16 = 64;

    /// Maximum number of open streams in one direction of a connection. The number bounds the table
    /// of streams that their reader has stopped and their writer has not ended.
    pub const STREAMS_MAX: usize = 16_384;

    /// Maximum memory of decoded values per byte of their message. For example, an `Option<String>`
    /// takes one byte in the message and 24 in memory.
    pub const DECODED_PER_BYTE: usize = 32;

    /// Memory that the decoded values of any message may take, however short the message is.
    pub const DECODED_BYTES_MIN: usize = 1024 * 1024;

    /// Maximum memory of the decoded values of a message: eight times the size of the largest
    /// message.
    pub const DECODED_BYTES_MAX: usize = 8 * Self::ARENA_BYTES;

    /// Maximum nesting depth of user-defined types. They may refer to themselves, and decoding is
    /// recursive, so the stack limits the depth.
    pub const DEPTH_MAX: u32 = 64;

    /// Maximum number of shared-memory ranges that one frame can release.
    pub const RELEASES_MAX: usize = 16;

    /// Maximum number of interfaces in a greeting, so that the greeting fits in a frame.
    pub const OFFERS_MAX: usize = 512;

    /// Maximum length in bytes of a text in a fault or an error. Longer texts are truncated.
    pub const TEXT_BYTES_MAX: usize = 4096;
}

impl Limits {
    /// Returns the limits with the lower of the two values for each.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            message_bytes_max: self.message_bytes_max.min(other.message_bytes_max),
            handles_max: self.handles_max.min(other.handles_max),
            calls_max: self.calls_max.min(other.calls_max),
        }
    }
}

/// Returns the start of a text, at most `bytes_max` bytes of it, without half a character at its
/// end.
#[doc(hidden)]
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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
