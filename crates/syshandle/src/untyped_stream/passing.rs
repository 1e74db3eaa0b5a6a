//! Streams in messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use syshandle_os::Filesystems;
use syshandle_types::MessageObject;
use syshandle_wire::Violation;

use super::state::Serial;
use super::{HostRef, StreamReader, StreamWriter, Streams};

/// The place of the writer of a stream whose reader is in a message.
pub(crate) trait WriterSlot: Send + Sync + std::fmt::Debug {
    /// Takes the writer, before the message is sent. Called at most once.
    fn attach(&self, writer: StreamWriter);

    /// Records that the message will not be sent, and there is no writer.
    fn not_sent(&self);
}

/// A stream that a message passes.
#[derive(Debug)]
pub(crate) struct PassedStream {
    slot: Arc<dyn WriterSlot>,
    is_attached: AtomicBool,
}

impl PassedStream {
    /// Passes a stream whose writer belongs into `slot`.
    pub(crate) fn new(slot: Arc<dyn WriterSlot>) -> Self {
        Self { slot, is_attached: AtomicBool::new(false) }
    }
}

impl Drop for PassedStream {
    fn drop(&mut self) {
        if !*self.is_attached.get_mut() {
            self.slot.not_sent();
        }
    }
}

/// The streams of a message that is about to be sent. If it is dropped before
/// [`sent`](Self::sent), the streams end.
#[derive(Debug)]
pub(crate) struct OpeningStreams {
    streams: Arc<Streams>,
    opened: Vec<(u32, Serial)>,
}

impl OpeningStreams {
    /// Opens the streams among the entries of a message. Returns them with the ID of each entry that
    /// is a stream. Returns `None` if there are no streams.
    ///
    /// # Errors
    /// The name of the limit of open streams.
    #[expect(clippy::type_complexity, reason = "the IDs belong to the opened streams")]
    pub(crate) fn open(
        streams: &Arc<Streams>,
        host: &HostRef,
        entries: &[Option<MessageObject>],
        timeout: Duration,
    ) -> Result<Option<(Self, Vec<Option<u32>>)>, &'static str> {
        let passed = |entry: &Option<MessageObject>| {
            entry.as_ref().is_some_and(|object| object.is::<PassedStream>())
        };
        if !entries.iter().any(passed) {
            return Ok(None);
        }
        streams.is_used.store(true, Ordering::Relaxed);
        let mut opening = Self { streams: streams.clone(), opened: Vec::new() };
        let mut ids = Vec::with_capacity(entries.len());
        for entry in entries {
            let passed = entry.as_ref().and_then(|it| it.downcast_ref::<PassedStream>());
            let passed = passed.filter(|passed| !passed.is_attached.swap(true, Ordering::Relaxed));
            let Some(passed) = passed else {
                ids.push(None);
                continue;
            };
            let opened = streams.state().open_written();
            let (id, serial) = opened.inspect_err(|_| passed.slot.not_sent())?;
            opening.opened.push((id, serial));
            ids.push(Some(id));
            passed.slot.attach(StreamWriter::new(streams.clone(), host.clone(), serial, timeout));
        }
        Ok(Some((opening, ids)))
    }

    /// Records that the message was sent. The caller calls [`Streams::wake`] afterwards.
    pub(crate) fn sent(mut self) {
        let opened = std::mem::take(&mut self.opened);
        let mut state = self.streams.state();
        opened.into_iter().for_each(|(id, serial)| state.sent(id, serial));
        self.streams.unlock(state);
    }
}

impl Drop for OpeningStreams {
    fn drop(&mut self) {
        if self.opened.is_empty() || !self.streams.owner.is_current() {
            return;
        }
        let mut state = self.streams.state();
        self.opened.drain(..).for_each(|(id, serial)| state.not_sent(id, serial));
        self.streams.unlock(state);
    }
}

/// A stream of a received message that no value has taken. If it is dropped, the stream is stopped.
#[derive(Debug)]
pub(crate) struct UnclaimedStream {
    streams: Arc<Streams>,
    serial: Option<Serial>,
}

impl UnclaimedStream {
    /// Opens the stream of a received entry.
    ///
    /// # Errors
    /// The peer violated the protocol, or reached a limit, whose name is returned.
    pub(crate) fn open(
        streams: &Arc<Streams>,
        id: u32,
    ) -> Result<Self, Result<&'static str, Violation>> {
        streams.is_used.store(true, Ordering::Relaxed);
        let serial = streams.state().open_read(id)?;
        Ok(Self { streams: streams.clone(), serial: Some(serial) })
    }

    /// Returns the stream in the form in which a decoder takes it.
    pub(crate) fn received(
        mut self,
        host: HostRef,
        timeout: Duration,
        filesystems: Option<Arc<Filesystems>>,
    ) -> MessageObject {
        let reader = self.serial.take().map(|serial| {
            StreamReader::new(self.streams.clone(), host, serial, timeout, filesystems)
        });
        Arc::new(ReceivedStream(Mutex::new(reader)))
    }
}

impl Drop for UnclaimedStream {
    fn drop(&mut self) {
        if let Some(serial) = self.serial.take().filter(|_| self.streams.owner.is_current()) {
            let mut state = self.streams.state();
            let items = state.drop_reader(serial);
            self.streams.unlock(state);
            drop(items);
        }
    }
}

/// A stream of a received message, for its decoder.
#[derive(Debug)]
pub(crate) struct ReceivedStream(Mutex<Option<StreamReader>>);

impl ReceivedStream {
    /// Takes the reader. Returns `None` if the object is no stream, or its reader was taken.
    pub(crate) fn take(object: &MessageObject) -> Option<StreamReader> {
        let received = object.downcast_ref::<Self>()?;
        received.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
