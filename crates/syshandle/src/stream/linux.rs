//! The ends of a stream on a connection.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use syshandle_types::{
    BorrowedHandle, DecodeError, DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, Limits,
    Payload,
};

use super::pair::Pair;
use crate::{Error, Result};

/// Puts a stream in a message: refuses it.
pub(super) fn pass<T>(pair: &Arc<Pair<T>>, out: &mut Encoder<'_>) {
    let text = match pair.pass() {
        Ok(()) => "the receiver does not support streams",
        Err(text) => text,
    };
    pair.not_sent();
    out.fail(EncodeErrorKind::Value(text.into()));
}

/// Takes a stream from a message: there is none.
pub(super) fn receive(input: &mut Decoder<'_>) -> Result<StreamReader, DecodeError> {
    Err(input.error(DecodeErrorKind::Value { expected: "a stream" }))
}

/// The writing end of a stream on a connection.
#[derive(Debug)]
pub(super) enum StreamWriter {}

impl StreamWriter {
    pub(super) const ITEM_LIMITS: Limits =
        Limits { message_bytes_max: 0, handles_max: 0, calls_max: 0 };

    pub(super) fn try_send(&self, _: &Payload<'_>, _: &[BorrowedHandle<'_>]) -> Result<bool> {
        match *self {}
    }

    pub(super) fn send(&self, _: &Payload<'_>, _: &[BorrowedHandle<'_>], _: Instant) -> Result<()> {
        match *self {}
    }

    pub(super) fn poll_ready(&self, _: usize, _: usize, _: &mut Context<'_>) -> Poll<Result<()>> {
        match *self {}
    }

    pub(super) fn finish(&self) -> Result<()> {
        match *self {}
    }

    pub(super) fn fail(&self, _: &Error) -> Result<()> {
        match *self {}
    }

    pub(super) fn timeout(&self) -> Duration {
        match *self {}
    }
}

/// The reading end of a stream on a connection.
#[derive(Debug)]
pub(super) enum StreamReader {}

impl StreamReader {
    pub(super) fn next(&mut self, _: Instant) -> Result<Option<EncodedItem>> {
        match *self {}
    }

    #[cfg(feature = "tokio")]
    pub(super) fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<EncodedItem>>> {
        match *self {}
    }

    pub(super) fn timeout(&self) -> Duration {
        match *self {}
    }
}

/// An item that was not decoded yet.
#[derive(Debug)]
pub(super) enum EncodedItem {}

impl EncodedItem {
    pub(super) fn decode<T>(
        self,
        _: impl FnOnce(&mut Decoder<'_>) -> Result<T, DecodeError>,
    ) -> Result<T> {
        match self {}
    }
}
