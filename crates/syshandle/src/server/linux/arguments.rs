//! The encoded arguments of a call, which stay in the memory in which they arrived.

use std::sync::Arc;

use syshandle_types::{Decoder, Handles, MessageObjects, Prove, SharedBytes};
use syshandle_wire::{Body, Header};

use crate::buffer::FrameBuffer;
use crate::link::ArenaRange;

/// The shared memory of a client, which a call keeps until the arguments are decoded.
pub(crate) trait PeerMemory: Send + Sync {
    /// Returns the bytes of a body, and their number.
    fn range(&self, body: Body) -> (ArenaRange<'_>, usize);

    /// Releases the range of a body that the server has read.
    fn has_read(&self, body: Body);
}

/// The encoded arguments: in the frame, or in the client's shared memory until dropped.
pub(crate) enum Arguments {
    Frame {
        frame: FrameBuffer,
        /// Offset of the arguments in the frame.
        start: u16,
        end: u16,
    },
    Shared {
        memory: Arc<dyn PeerMemory>,
        body: Body,
    },
    /// Arguments that refer to objects by their numbers, or to registered handles.
    WithObjects(Box<Self>, MessageObjects),
    Lost,
    /// The arguments, or the call itself, name an object that can't be used.
    NoObject(MissingObject),
    /// The client reached a memory limit, whose name this is.
    PastLimit(&'static str),
}

/// The reason why a number stands for no object, or a slot for no handle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MissingObject {
    /// The client doesn't have the number.
    Unknown(u32),
    /// The owner of the object has withdrawn it.
    Withdrawn,
    /// The slot of a registered handle holds no handle of this generation.
    SlotGone,
}

impl Arguments {
    /// Returns the number of encoded bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Frame { start, end, .. } => usize::from(end - start),
            Self::Shared { body: Body::Shared { len, .. } | Body::Inline { len }, .. } => {
                *len as usize
            }
            Self::WithObjects(arguments, _) => arguments.len(),
            Self::Lost | Self::NoObject(_) | Self::PastLimit(_) => 0,
        }
    }

    /// Decodes the arguments, which contain these handles.
    pub(crate) fn decode<T>(
        &self,
        handles: Handles,
        prove: &dyn Prove,
        decode: impl FnOnce(Decoder<'_>) -> T,
    ) -> T {
        let (arguments, objects) = match self {
            Self::WithObjects(arguments, objects) => (&**arguments, objects.clone()),
            arguments => (arguments, MessageObjects::new()),
        };
        match arguments {
            Self::Frame { frame, start, end } => {
                let bytes = &frame[usize::from(*start)..usize::from(*end)];
                decode(Decoder::new(bytes, handles, prove).with_objects(objects))
            }
            Self::Shared { memory, body } => {
                let (range, len) = memory.range(*body);
                let bytes = SharedBytes::new(&range, len);
                decode(Decoder::shared(&bytes, handles, prove).with_objects(objects))
            }
            Self::WithObjects(..) | Self::Lost | Self::NoObject(_) | Self::PastLimit(_) => {
                decode(Decoder::new(&[], handles, prove))
            }
        }
    }
}

const _: () = assert!(Header::FRAME_MAX <= u16::MAX as usize);

/// Releases the range of shared memory.
impl Drop for Arguments {
    fn drop(&mut self) {
        if let Self::Shared { memory, body } = self {
            memory.has_read(*body);
        }
    }
}
