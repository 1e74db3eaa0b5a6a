//! What one side has read of the other's shared memory and not given back yet.

use crate::frame::Releases;
use crate::{Body, FrameKind, Header, Limits};

/// Ranges that were read and are to be given back.
///
/// They go with whatever frame goes next. A peer that is short of memory asks for them, and from
/// then on gets each at once: waiting for the next frame may mean to wait for a slow method.
#[derive(Debug)]
pub(crate) struct Due {
    offsets: Vec<u32>,
    /// The bytes of these ranges.
    bytes: u32,
    /// The ranges don't wait for the next frame if they have this many bytes or more.
    bytes_max: u32,
    at_once: bool,
}

impl Due {
    /// The ranges that a client has read. Its next frame may never come, and until then the server can't free the
    /// pages.
    pub(crate) fn of_client() -> Self {
        Self::with(256 * 1024)
    }

    /// The ranges that a server has read. Its next frame is the reply, which a slow method delays.
    pub(crate) fn of_server() -> Self {
        Self::with(4 * 1024 * 1024)
    }

    fn with(bytes_max: u32) -> Self {
        Self { offsets: Vec::new(), bytes: 0, bytes_max, at_once: false }
    }

    /// A range was read: returns the header of a frame that gives it back, when that is not to
    /// wait for the next frame.
    #[inline]
    pub(crate) fn has_read(&mut self, body: Body) -> Option<Header> {
        let Body::Shared { offset, len } = body else { return None };
        self.offsets.push(offset);
        self.bytes = self.bytes.saturating_add(len);
        let many = self.offsets.len() >= Limits::RELEASES_MAX || self.bytes >= self.bytes_max;
        (self.at_once || many).then(|| self.frame())
    }

    /// The peer asks for what is due: returns the header of the frame that gives it back.
    pub(crate) fn asked(&mut self) -> Option<Header> {
        self.at_once = true;
        (!self.offsets.is_empty()).then(|| self.frame())
    }

    /// What goes with the next frame.
    #[inline]
    pub(crate) fn take(&mut self) -> Releases {
        self.bytes = 0;
        Releases::take_from(&mut self.offsets)
    }

    /// What was taken for a frame that couldn't be sent.
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
        let mut due = Due::of_client();
        assert!((0..3).all(|_| due.has_read(shared(64 * 1024)).is_none()));
        let header = due.has_read(shared(64 * 1024)).unwrap();
        assert_eq!((header.kind, header.releases.as_slice().len()), (FrameKind::Release, 4));
        assert!(due.has_read(shared(64 * 1024)).is_none());
        assert!(due.has_read(shared(1 << 20)).is_some());
    }

    #[test]
    fn a_server_gives_large_ranges_back_before_its_reply() {
        let mut due = Due::of_server();
        assert!(due.has_read(shared(1 << 20)).is_none());
        assert!(due.has_read(shared(3 << 20)).is_some());
    }
}
