//! The ends of a stream on a connection.

use std::fmt;
use std::sync::Arc;

use syshandle_types::{DecodeError, DecodeErrorKind, Decoder, Encode, EncodeErrorKind, Encoder};

use super::pair::Pair;
pub(super) use crate::untyped_stream::{EncodedItem, StreamReader, StreamWriter};
use crate::untyped_stream::{PassedStream, ReceivedStream, WriterSlot};

/// Puts a stream in a message.
pub(super) fn pass<T: Encode + Send + 'static>(pair: &Arc<Pair<T>>, out: &mut Encoder<'_>) {
    let passed = pair.pass();
    let text = match passed {
        Ok(()) if out.takes_streams() => {
            return out.put_object(Arc::new(PassedStream::new(Arc::new(PairSlot(pair.clone())))));
        }
        Ok(()) => "the receiver does not support streams",
        Err(text) => text,
    };
    if passed.is_ok() {
        pair.not_sent();
    }
    out.fail(EncodeErrorKind::Value(text.into()));
}

/// Takes a stream from a message.
pub(super) fn receive(input: &mut Decoder<'_>) -> Result<StreamReader, DecodeError> {
    let object = input.take_object()?;
    let reader = object.as_ref().and_then(ReceivedStream::take);
    reader.ok_or_else(|| input.error(DecodeErrorKind::Value { expected: "a stream" }))
}

/// The place of the writer in a pair.
struct PairSlot<T>(Arc<Pair<T>>);

impl<T> fmt::Debug for PairSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Encode + Send + 'static> WriterSlot for PairSlot<T> {
    fn attach(&self, writer: StreamWriter) {
        self.0.attach(writer);
    }

    fn not_sent(&self) {
        self.0.not_sent();
    }
}
