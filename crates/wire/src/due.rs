//! What one side has read of the other's shared memory and not given back yet.

use crate::frame::Releases;
use crate::{Body, FrameKind, Header, Limits};

/// Ranges that were read and are to be given back.
///
/// They go with whatever frame goes next. A peer that is short of memory asks for them, and from
/// then on gets each at once: waiting for the next frame may mean to wait for a slow method.
#[derive(Debug, Default)]
pub(crate) struct Due {
    offsets: Vec<u32>,
    at_once: bool,
}

impl Due {
    /// A range was read: returns the header of a frame that gives it back, when that is not to
    /// wait for the next frame.
    #[inline]
    pub(crate) fn has_read(&mut self, body: Body) -> Option<Header> {
        let Body::Shared { offset, len } = body else { return None };
        self.offsets.push(offset);
        let many = self.offsets.len() >= Limits::RELEASES_MAX;
        (self.at_once || many || len >= AT_ONCE).then(|| self.frame())
    }

    /// The peer asks for what is due: returns the header of the frame that gives it back.
    pub(crate) fn asked(&mut self) -> Option<Header> {
        self.at_once = true;
        (!self.offsets.is_empty()).then(|| self.frame())
    }

    /// What goes with the next frame.
    #[inline]
    pub(crate) fn take(&mut self) -> Releases {
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

/// A range this large, a quarter of all, is given back in a frame of its own: the next one may be
/// long in coming.
const AT_ONCE: u32 = 4 * 1024 * 1024;
