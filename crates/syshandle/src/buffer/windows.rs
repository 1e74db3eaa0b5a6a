//! Buffers for arguments and results.

/// Returns an empty buffer. COM copies the contents, and no buffer is kept between calls.
pub(crate) fn take_bytes() -> Vec<u8> {
    Vec::new()
}
