//! Ranges of the peer's shared memory that this side has read but not released yet.

use syshandle_types::Limits;

use crate::frame::Releases;
use crate::{Body, FrameKind, Header};

/// Ranges that were read and must be released.
///
/// The next frame of any kind releases them. If the peer asks for them because it needs shared
/// memory, each range is released immediately from then on, because the next frame may have to wait
/// for a slow method.
#[derive(Debug)]
pub(crate) struct PendingReleases {
    offsets: Vec<u32>,
    /// Total size of the ranges in bytes.
    bytes: u32,
    /// Size in bytes from which the ranges are released immediately.
    bytes_max: u32,
    at_once: bool,
}

impl PendingReleases {
    /// Creates the list of a client. The next frame may never be sent, and until the release the
    /// server can't free the pages.
    pub(crate) fn of_client() -> Self {
        Self::with(256 * 1024)
    }

    /// Creates the list of a server. The next frame is the reply, which a slow method delays.
    pub(crate) fn of_server() -> Self {
        Self::with(4 * 1024 * 1024)
    }

    fn with(bytes_max: u32) -> Self {
        Self { offsets: Vec::new(), bytes: 0, bytes_max, at_once: false }
    }

    /// Records that a range was read. If the release should not wait for the next frame, returns
    /// the header of a frame that releases all ranges now.
    #[inline]
    pub(crate) fn has_read(&mut self, body: Body) -> Option<Header> {
        let Body::Shared { offset, len } = body else { return None };
        self.offsets.push(offset);
        self.bytes = self.bytes.saturating_add(len);
        let many = self.offsets.len() >= Limits::RELEASES_MAX || self.bytes >= self.bytes_max;
        (self.at_once || many).then(|| self.frame())
    }

    /// Processes the peer's request to release ranges. Returns the header of the frame that does
    /// so.
    pub(crate) fn release_at_once(&mut self) -> Option<Header> {
        self.at_once = true;
        (!self.offsets.is_empty()).then(|| self.frame())
    }

    /// Removes and returns the ranges that the next frame releases.
    #[inline]
    pub(crate) fn take(&mut self) -> Releases {
        self.bytes = 0;
        Releases::take_from(&mut self.offsets)
    }

    /// Adds the ranges of a frame that could not be sent.
    pub(crate) fn put_back(&mut self, releases: &Releases) {
        self.offsets.extend(releases.as_slice());
    }

    fn frame(&mut self) -> Header {
        Header { releases: self.take(), ..Header::new(FrameKind::Release) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(len: u32) -> Body {
        Body::Shared { offset: 0, len }
    }

    #[test]
    fn a_client_keeps_less_than_a_quarter_of_a_mebibyte_until_its_next_frame() {
        let mut pending = PendingReleases::of_client();
        assert!((0..3).all(|_| pending.has_read(shared(64 * 1024)).is_none()));
        let header = pending.has_read(shared(64 * 1024)).unwrap();
        assert_eq!((header.kind, header.releases.as_slice().len()), (FrameKind::Release, 4));
        assert!(pending.has_read(shared(64 * 1024)).is_none());
        assert!(pending.has_read(shared(1 << 20)).is_some());
    }

    #[test]
    fn a_server_gives_large_ranges_back_before_its_reply() {
        let mut pending = PendingReleases::of_server();
        assert!(pending.has_read(shared(1 << 20)).is_none());
        assert!(pending.has_read(shared(3 << 20)).is_some());
    }
}
