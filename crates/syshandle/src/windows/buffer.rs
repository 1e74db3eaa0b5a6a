//! Buffers for arguments and results.

/// An empty buffer. What COM takes it copies: none is kept from call to call.
pub(crate) fn take_bytes() -> Vec<u8> {
    Vec::new()
}
