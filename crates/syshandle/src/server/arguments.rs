//! The bytes of a call's arguments, where they came.

use std::sync::Arc;

use syshandle_wire::{Body, Decoder, Handles, Header, Prove, Shared};

use super::connection::Connection;
use crate::buffer::FrameBuffer;

/// The bytes of the arguments: in the frame, or in the client's memory until they are dropped.
pub(super) enum Arguments {
    Frame {
        frame: FrameBuffer,
        /// Offset of the arguments in the frame.
        start: u16,
        end: u16,
    },
    Shared {
        connection: Arc<Connection>,
        body: Body,
    },
    Lost,
    /// The client may not have more memory: the name of the limit.
    PastLimit(&'static str),
}

impl Arguments {
    /// Has them decoded, with these handles.
    pub(super) fn decode<T>(
        &self,
        handles: Handles,
        prove: &dyn Prove,
        decode: impl FnOnce(Decoder<'_>) -> T,
    ) -> T {
        match self {
            Self::Frame { frame, start, end } => {
                decode(Decoder::new(&frame[usize::from(*start)..usize::from(*end)], handles, prove))
            }
            Self::Shared { connection, body } => {
                let (range, len) = connection.range(*body);
                let bytes = Shared::new(&range, len);
                decode(Decoder::shared(&bytes, handles, prove))
            }
            Self::Lost | Self::PastLimit(_) => decode(Decoder::new(&[], handles, prove)),
        }
    }
}

const _: () = assert!(Header::FRAME_MAX <= u16::MAX as usize);

/// The range is given back.
impl Drop for Arguments {
    fn drop(&mut self) {
        if let Self::Shared { connection, body } = self {
            connection.has_read(*body);
        }
    }
}
