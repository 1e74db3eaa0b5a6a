//! The end of a stream that gets the items.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use syshandle_os::Filesystems;
use syshandle_types::{DecodeError, Decoder};
use syshandle_wire::{Credit, Fault};

use super::state::Serial;
use super::{HostRef, StreamTask, Streams, timed_out};
use crate::quota::Quota;
use crate::received_handles::{KernelProver, ReceivedHandles};
use crate::{Error, ErrorKind, Result};

/// The reader of a stream. Dropping it stops the writer.
#[derive(Debug)]
pub(crate) struct StreamReader {
    streams: Arc<Streams>,
    host: HostRef,
    serial: Serial,
    timeout: Duration,
    filesystems: Option<Arc<Filesystems>>,
    sender: Option<Arc<Quota>>,
    task: StreamTask,
}

/// An item that is not decoded yet.
#[derive(Debug)]
pub(crate) struct EncodedItem {
    bytes: Box<[u8]>,
    handles: ReceivedHandles,
    handles_lost: bool,
    /// Number of handles with which the item was sent.
    handle_count: u16,
    proof: Option<(Option<Arc<Filesystems>>, Arc<Quota>)>,
}

impl StreamReader {
    pub(super) fn new(
        streams: Arc<Streams>,
        host: HostRef,
        serial: Serial,
        timeout: Duration,
        filesystems: Option<Arc<Filesystems>>,
    ) -> Self {
        let sender = streams.state().peer_quota();
        Self { streams, host, serial, timeout, filesystems, sender, task: StreamTask::default() }
    }

    /// Returns the default timeout of waits for an item.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits until `until` for the next item. Returns `None` after the last one.
    ///
    /// # Errors
    /// `TimedOut`, after which the stream continues, and the reason why it has failed.
    pub(crate) fn next(&mut self, until: Instant) -> Result<Option<EncodedItem>> {
        self.streams.check_owner()?;
        let mut next = None;
        let is_ready = &mut |context: &mut Context<'_>| match self.poll(Some(context.waker())) {
            Poll::Ready(ready) => {
                next = Some(ready);
                true
            }
            Poll::Pending => false,
        };
        let waited = match self.host.get() {
            Some(host) => host.wait_in_thread(until, is_ready),
            // The connection has ended, so there is nothing to wait for.
            None => Ok(is_ready(&mut Context::from_waker(Waker::noop()))),
        };
        self.streams.wake();
        match (next, waited) {
            (Some(next), _) => next.map(|item| item.map(|item| self.provable(item))),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(timed_out("timed out waiting for an item of the stream")),
        }
    }

    /// Returns the next item if there is one, or `None` after the last one.
    ///
    /// # Errors
    /// The reason why the stream has failed.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<EncodedItem>>> {
        self.streams.check_owner()?;
        let mut polled = self.poll(Some(context.waker()));
        if polled.is_pending() {
            if let Some(host) = self.host.get() {
                if let Err(error) = host.wait_as_task(&mut self.task, context.waker()) {
                    return Poll::Ready(Err(error));
                }
                // The stream may have ended since.
                polled = self.poll(Some(context.waker()));
            }
        }
        self.streams.wake();
        polled.map(|next| next.map(|item| item.map(|item| self.provable(item))))
    }

    fn poll(&self, waker: Option<&Waker>) -> Poll<Result<Option<EncodedItem>>> {
        let mut state = self.streams.state();
        let polled = state.poll_reader(self.serial, waker);
        self.streams.unlock(state);
        match polled {
            Ok(Some(item)) => Poll::Ready(Ok(item)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Adds what is needed to prove the handles of an item.
    fn provable(&self, mut item: EncodedItem) -> EncodedItem {
        let quota = self.sender.clone().unwrap_or_else(Quota::of_a_server);
        item.proof = Some((self.filesystems.clone(), quota));
        item
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        if !self.streams.owner.is_current() {
            // A thread of the original process may have held the lock at the fork.
            return;
        }
        if let (Some(_), Some(host)) = (self.task.0, self.host.get()) {
            host.forget_task(&mut self.task);
        }
        let mut state = self.streams.state();
        let items = state.drop_reader(self.serial);
        self.streams.unlock(state);
        drop(items);
        self.streams.wake();
        self.streams.watch_for_room();
    }
}

impl EncodedItem {
    pub(super) fn new(
        bytes: &[u8],
        handles: ReceivedHandles,
        handles_lost: bool,
        handle_count: u16,
    ) -> Self {
        Self { bytes: bytes.into(), handles, handles_lost, handle_count, proof: None }
    }

    /// Returns the size of the item.
    pub(super) fn size(&self) -> Credit {
        Credit::of_item(self.bytes.len() as u32, self.handle_count.into())
    }

    /// Decodes the item with `decode`, and proves its handles.
    ///
    /// # Errors
    /// The item has another type, or a handle doesn't match its declaration.
    pub(crate) fn decode<T>(
        self,
        decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, DecodeError>,
    ) -> Result<T> {
        let Self { bytes, handles, handles_lost, proof, .. } = self;
        if handles_lost {
            let text =
                "this process has no descriptors or no memory left for the handles of the item";
            return Err(Error::detected(ErrorKind::HandlesLost, text).of_no_call());
        }
        let (filesystems, quota) = proof.unwrap_or_else(|| (None, Quota::of_a_server()));
        let prover = match &filesystems {
            Some(filesystems) => KernelProver::new(filesystems, &quota),
            None => KernelProver::usual(&quota),
        };
        let mut input = Decoder::new(&bytes, handles.into_handles(), &prover);
        let decoded = decode(&mut input).and_then(|item| input.finish().map(|()| item));
        decoded.map_err(|error| Error::from_fault(&Fault::from(error)).of_no_call())
    }
}
