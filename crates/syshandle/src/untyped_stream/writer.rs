//! The end of a stream that sends the items.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use syshandle_os::BorrowedHandle;
use syshandle_types::{Limits, Payload};
use syshandle_wire::{Credit, Fault};

use super::state::{SentItem, Serial};
use super::{HostRef, StreamTask, Streams, park_until, timed_out};
use crate::sync::{Mutex, now};
use crate::{Error, Result};

/// The writer of a stream, for any number of threads and tasks. Dropping it without
/// [`finish`](Self::finish) ends the stream with an error.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    streams: Arc<Streams>,
    host: HostRef,
    serial: Serial,
    timeout: Duration,
    task: Mutex<StreamTask>,
}

impl StreamWriter {
    /// The limits of an item, which is sent in one frame.
    pub(crate) const ITEM_LIMITS: Limits = Limits {
        message_bytes_max: Limits::INLINE_BYTES_MAX as u32,
        handles_max: Limits::HANDLES_MAX,
        calls_max: Limits::CALLS_MAX,
    };

    pub(super) fn new(
        streams: Arc<Streams>,
        host: HostRef,
        serial: Serial,
        timeout: Duration,
    ) -> Self {
        Self { streams, host, serial, timeout, task: Mutex::default() }
    }

    /// Returns the default timeout of waits for credit.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends an item. Returns `false` if there is no credit, or no room in the socket.
    ///
    /// # Errors
    /// The stream has ended. `Busy` if too many handles are in flight to the peer.
    pub(crate) fn try_send(
        &self,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> Result<bool> {
        match self.send_once(body, handles)? {
            SentItem::Sent => Ok(true),
            SentItem::NoCredit | SentItem::NoRoom => Ok(false),
            SentItem::TooManyInFlight(error) => Err(error),
        }
    }

    fn send_once(&self, body: &Payload<'_>, handles: &[BorrowedHandle<'_>]) -> Result<SentItem> {
        self.streams.check_owner()?;
        let calls_wait = self.streams.calls_wait.load(Ordering::SeqCst);
        let mut state = self.streams.state();
        let sent = state.send_item(self.serial, calls_wait, body, handles);
        self.streams.unlock(state);
        if !matches!(sent, Ok(SentItem::Sent)) {
            self.streams.watch_for_room();
        }
        sent
    }

    /// Sends an item, and waits until `until` for credit and room.
    ///
    /// # Errors
    /// `TimedOut`, after which the stream continues, and the reason why it has ended.
    pub(crate) fn send(
        &self,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        until: Instant,
    ) -> Result<()> {
        let size = Credit::of_item(body.len() as u32, handles.len() as u32);
        loop {
            let retry = match self.send_once(body, handles)? {
                SentItem::Sent => return Ok(()),
                // No event reports that the peer has received the handles.
                SentItem::TooManyInFlight(error) if now() >= until => return Err(error),
                SentItem::TooManyInFlight(_) => {
                    self.wait(until.min(now() + HANDLES_RETRY), &mut |_| Ok(false))?;
                    continue;
                }
                SentItem::NoCredit | SentItem::NoRoom => {
                    self.wait_until_sent(until)?;
                    self.wait(until, &mut |context| self.poll(size, context.waker()))?
                }
            };
            if !retry {
                return Err(timed_out("timed out waiting for the reader of the stream"));
            }
        }
    }

    /// Waits until the message with the stream was sent, or never will be.
    ///
    /// No frame reports that. A thread that receives sleeps in the kernel until a frame arrives, so
    /// this thread parks instead.
    fn wait_until_sent(&self, until: Instant) -> Result<()> {
        let is_sent = park_until(until, &mut |context| {
            self.streams.state().poll_sent(self.serial, context.waker())
        });
        match is_sent {
            true => Ok(()),
            false => Err(timed_out(
                "timed out waiting for the reader of the stream: its message was not sent yet",
            )),
        }
    }

    /// Waits in this thread. Returns `false` at `until`.
    fn wait(
        &self,
        until: Instant,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut polled = Ok(false);
        let is_ready = &mut |context: &mut Context<'_>| {
            polled = poll(context);
            !matches!(polled, Ok(false))
        };
        let waited = match self.host.get() {
            Some(host) => host.wait_in_thread(until, is_ready),
            None => Ok(is_ready(&mut Context::from_waker(Waker::noop()))),
        };
        self.streams.wake();
        polled?;
        waited
    }

    fn poll(&self, size: Credit, waker: &Waker) -> Result<bool> {
        self.streams.check_owner()?;
        let calls_wait = self.streams.calls_wait.load(Ordering::SeqCst);
        let mut state = self.streams.state();
        let polled = state.poll_writer(self.serial, size, calls_wait, waker);
        self.streams.unlock(state);
        polled
    }

    /// Returns whether [`try_send`](Self::try_send) may send an item of this size. Otherwise the
    /// task is woken when it may.
    ///
    /// # Errors
    /// The stream has ended.
    pub(crate) fn poll_ready(
        &self,
        bytes: usize,
        handles: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let size = Credit::of_item(bytes as u32, handles as u32);
        let waker = context.waker();
        let mut polled = self.poll(size, waker);
        if matches!(polled, Ok(false)) {
            self.streams.watch_for_room();
            if let Some(host) = self.host.get() {
                let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
                // Without a driver, a thread that waits for something else may receive credit.
                let _ = host.wait_as_task(&mut task, waker);
                drop(task);
                polled = self.poll(size, waker);
            }
        }
        match polled {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Ends the stream after all items. If the socket has no room for that, waits a moment.
    ///
    /// # Errors
    /// The connection has ended, or the message with the stream was not sent.
    pub(crate) fn finish(&self) -> Result<()> {
        self.end(None)
    }

    /// Ends the stream with an error. The reader gets the items that were sent before.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn fail(&self, error: &Error) -> Result<()> {
        self.end(Some(error.to_fault(false)))
    }

    fn end(&self, fault: Option<Fault>) -> Result<()> {
        self.streams.check_owner()?;
        let mut state = self.streams.state();
        let finished = state.finish(self.serial, fault);
        let waits = state.end_waits(self.serial);
        self.streams.unlock(state);
        self.streams.wake();
        if waits {
            self.streams.watch_for_room();
            // A server sends the frame when there is room. A client may receive nothing any more.
            if let HostRef::Client(host) = &self.host {
                let _ = host.wait_in_thread(now() + END_WAIT, &mut |context| {
                    let mut state = self.streams.state();
                    state.wait_for_room(context.waker());
                    !state.end_waits(self.serial)
                });
            }
        }
        finished
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        if !self.streams.owner.is_current() {
            // A thread of the original process may have held the lock at the fork.
            return;
        }
        let mut task =
            std::mem::take(&mut *self.task.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Some(_), Some(host)) = (task.0, self.host.get()) {
            host.forget_task(&mut task);
        }
        let text = "the sink of the stream was dropped before it finished".to_owned();
        let _ = self.end(Some(Fault::Failed { text }));
        self.streams.state().drop_writer(self.serial);
    }
}

/// Interval of attempts to send while too many handles are in flight to the peer.
const HANDLES_RETRY: Duration = Duration::from_millis(5);

/// Longest wait for room for the end of a stream. It is needed only while the peer does not receive.
const END_WAIT: Duration = Duration::from_millis(20);
