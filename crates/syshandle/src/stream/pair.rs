//! The state that the two ends of a stream share within a process.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Instant;

use syshandle_types::{Encode, Encoder, OutgoingHandles, Payload};

#[cfg(windows)]
use std::sync::{Mutex, MutexGuard};

use super::transport::StreamWriter;
use super::waiting::{Wakers, block_until};
use crate::guard::guard;
use crate::limits;
#[cfg(not(windows))]
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, ErrorKind, Result};

/// Maximum number of items that wait while the stream is neither passed nor read. Most methods that
/// return a short list need no other thread then.
pub(super) const QUEUE_ITEMS: usize = 16;

/// The two ends of a stream.
pub(super) struct Pair<T>(Mutex<State<T>>);

struct State<T> {
    /// The items that the reader has not taken, and that no connection has taken.
    items: VecDeque<T>,
    sink: SinkState,
    taker: Taker,
    /// Whether a [`Batch`] owns the items.
    has_batch: bool,
    /// Whether the connection reported room while a batch owned the items.
    has_room: bool,
    senders: Wakers,
    readers: Wakers,
}

/// The state of the sink.
enum SinkState {
    Open,
    /// The sink has ended the stream, and the taker does not know it yet.
    Ending(End),
    Ended,
}

/// The end of a stream.
pub(super) enum End {
    Finished,
    Failed(Error),
}

/// The taker of the items.
enum Taker {
    /// The [`Stream`](super::Stream) of this process.
    Stream,
    /// A message that contains the stream. It was not sent yet.
    Message,
    /// The reader at the other end of a connection.
    Connection(Arc<StreamWriter>),
    /// Nobody any more.
    Gone(Absence),
}

/// The reason why nobody takes the items.
#[derive(Clone, Copy)]
enum Absence {
    Dropped,
    NotSent,
}

/// The next step of a thread or task that sends an item.
enum Step<'p, T: Encode + Send + 'static> {
    /// The item is in the queue.
    Done,
    /// Earlier items have to be sent first.
    Flush(Batch<'p, T>),
    /// The item has to be sent over the connection.
    Send(Arc<StreamWriter>),
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            items: VecDeque::new(),
            sink: SinkState::Open,
            taker: Taker::Stream,
            has_batch: false,
            has_room: false,
            senders: Wakers::default(),
            readers: Wakers::default(),
        }))
    }
}

/// What the sink does.
impl<T: Encode + Send + 'static> Pair<T> {
    /// Sends an item. Waits for room until `until`.
    pub(super) fn send(self: &Arc<Self>, item: T, until: Instant) -> Result<()> {
        let mut item = Some(item);
        loop {
            match block_until(until, |context| self.poll_step(&mut item, context)) {
                None => return Err(no_room()),
                Some(step) => match step? {
                    Step::Done => return Ok(()),
                    Step::Flush(batch) => batch.flush(until)?,
                    Step::Send(writer) => {
                        let Some(item) = item else { return Ok(()) };
                        let (body, handles) = encode(&item, until)?;
                        return handles.with(|handles| writer.send(&body, handles, until));
                    }
                },
            }
        }
    }

    /// Sends an item, or registers the task.
    pub(super) fn poll_send(
        self: &Arc<Self>,
        item: &mut Option<T>,
        until: Instant,
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        loop {
            match ready!(self.poll_step(item, context))? {
                Step::Done => return Poll::Ready(Ok(())),
                Step::Flush(batch) => ready!(batch.poll_flush(context))?,
                Step::Send(writer) => {
                    let Some(item) = item else { return Poll::Ready(Ok(())) };
                    let (body, handles) = encode(item, until)?;
                    return poll_send_over(&writer, &body, &handles, context);
                }
            }
        }
    }

    /// Puts the item in the queue, or returns the step that has to come first.
    fn poll_step<'p>(
        self: &'p Arc<Self>,
        item: &mut Option<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Step<'p, T>>> {
        let mut state = self.lock();
        if !matches!(state.sink, SinkState::Open) {
            let text = "the sink has already ended the stream";
            return Poll::Ready(Err(Error::detected(ErrorKind::Failed, text).of_no_call()));
        }
        let writer = match &state.taker {
            Taker::Gone(absence) => return Poll::Ready(Err(absence.error())),
            Taker::Connection(writer) => Some(writer.clone()),
            Taker::Stream | Taker::Message => None,
        };
        match writer {
            None if state.items.len() < QUEUE_ITEMS => {
                state.items.extend(item.take());
                let readers = state.readers.take();
                drop(state);
                readers.wake();
                return Poll::Ready(Ok(Step::Done));
            }
            Some(writer) if !state.has_batch => {
                return Poll::Ready(Ok(match state.items.is_empty() {
                    true => Step::Send(writer),
                    false => Step::Flush(self.batch(&mut state, writer)),
                }));
            }
            _ => {}
        }
        state.senders.add(context.waker());
        Poll::Pending
    }

    /// Sends the items that wait for the connection, as far as it has room. Continues when it has
    /// more.
    fn flush(self: &Arc<Self>) {
        let mut state = self.lock();
        let Taker::Connection(writer) = &state.taker else { return };
        let writer = writer.clone();
        if state.has_batch {
            state.has_room = true;
        } else if !state.items.is_empty() {
            let batch = self.batch(&mut state, writer);
            drop(state);
            let waker = Waker::from(Arc::new(Flusher(self.clone())));
            match batch.poll_flush(&mut Context::from_waker(&waker)) {
                // No event would continue, and nobody may send another item.
                Poll::Ready(Err(error)) if is_passing(&error) => self.give_up(&error),
                // An error of the connection, which the next send reports.
                Poll::Ready(_) | Poll::Pending => {}
            }
        }
    }

    /// Fails the stream, and drops the items that were not sent.
    fn give_up(&self, error: &Error) {
        let mut state = self.lock();
        let items = mem::take(&mut state.items);
        state.sink = SinkState::Ended;
        let writer = match &state.taker {
            Taker::Connection(writer) => Some(writer.clone()),
            _ => None,
        };
        drop(state);
        let _ = guard(|| drop(items));
        if let Some(writer) = writer {
            let _ = writer.fail(error);
        }
    }

    /// Takes the items out of the queue.
    fn batch<'p>(
        self: &'p Arc<Self>,
        state: &mut State<T>,
        writer: Arc<StreamWriter>,
    ) -> Batch<'p, T> {
        state.has_batch = true;
        Batch { pair: self, writer, items: mem::take(&mut state.items) }
    }

    #[cfg_attr(windows, expect(dead_code, reason = "no connection carries streams"))]
    /// Gives the writing end to a connection, which is about to send the message.
    pub(super) fn attach(self: &Arc<Self>, writer: StreamWriter) {
        let writer = Arc::new(writer);
        let mut state = self.lock();
        state.taker = Taker::Connection(writer.clone());
        let senders = state.senders.take();
        let end = state.take_end();
        drop(state);
        senders.wake();
        tell(&writer, end);
        self.flush();
    }
}

impl<T> Pair<T> {
    /// Ends the stream, unless it has ended already.
    pub(super) fn end(&self, end: End) -> Result<()> {
        let mut state = self.lock();
        if !matches!(state.sink, SinkState::Open) {
            return Ok(());
        }
        state.sink = SinkState::Ending(end);
        let (readers, senders) = (state.readers.take(), state.senders.take());
        let end = match &state.taker {
            Taker::Connection(writer) => {
                let writer = writer.clone();
                state.take_end().map(|end| (writer, end))
            }
            Taker::Gone(absence) => {
                let error = absence.error();
                drop(state);
                senders.wake();
                return Err(error);
            }
            Taker::Stream | Taker::Message => None,
        };
        drop(state);
        readers.wake();
        senders.wake();
        match end {
            None => Ok(()),
            Some((writer, End::Finished)) => writer.finish(),
            Some((writer, End::Failed(error))) => writer.fail(&error),
        }
    }

    /// Returns the timeout of the call that has passed the stream.
    pub(super) fn timeout(&self) -> std::time::Duration {
        match &self.lock().taker {
            Taker::Connection(writer) => writer.timeout(),
            _ => limits::CALL_TIMEOUT,
        }
    }
}

/// What the stream does.
impl<T> Pair<T> {
    /// Takes the next item; `None` after the end.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let mut state = self.lock();
        if !matches!(state.taker, Taker::Stream) {
            let text = "the stream was passed to another process";
            let error = Error::detected(ErrorKind::Failed, text).of_no_call();
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(item) = state.items.pop_front() {
            let senders = state.senders.take();
            drop(state);
            senders.wake();
            return Poll::Ready(Some(Ok(item)));
        }
        match mem::replace(&mut state.sink, SinkState::Ended) {
            SinkState::Open => {
                state.sink = SinkState::Open;
                state.readers.add(context.waker());
                Poll::Pending
            }
            SinkState::Ending(End::Failed(error)) => {
                // The reader gets the same error as through a connection.
                Poll::Ready(Some(Err(Error::from_fault(&error.to_fault(true)))))
            }
            SinkState::Ending(End::Finished) | SinkState::Ended => Poll::Ready(None),
        }
    }

    /// Records that a message contains the stream.
    ///
    /// # Errors
    /// The reason why the stream can't be passed.
    #[cfg_attr(windows, expect(dead_code, reason = "no message contains streams"))]
    pub(super) fn pass(&self) -> Result<(), &'static str> {
        let mut state = self.lock();
        match state.taker {
            Taker::Stream => {
                state.taker = Taker::Message;
                Ok(())
            }
            _ => Err("the stream was passed already"),
        }
    }

    /// Records that the message was not sent, and never will be.
    #[cfg_attr(windows, expect(dead_code, reason = "no message contains streams"))]
    pub(super) fn not_sent(&self) {
        self.leave(|taker| matches!(taker, Taker::Message), Absence::NotSent);
    }

    /// Records that the reader has dropped its stream, unless it has passed the stream.
    pub(super) fn stop(&self) {
        self.leave(|taker| matches!(taker, Taker::Stream), Absence::Dropped);
    }

    fn leave(&self, is_taker: impl FnOnce(&Taker) -> bool, absence: Absence) {
        let mut state = self.lock();
        if !is_taker(&state.taker) {
            return;
        }
        state.taker = Taker::Gone(absence);
        let (items, senders) = (mem::take(&mut state.items), state.senders.take());
        drop(state);
        senders.wake();
        drop(items);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Takes the end of the stream, if the connection has taken all items before it.
    fn take_end(&mut self) -> Option<End> {
        if self.has_batch || !self.items.is_empty() {
            return None;
        }
        match mem::replace(&mut self.sink, SinkState::Ended) {
            SinkState::Ending(end) => Some(end),
            other => {
                self.sink = other;
                None
            }
        }
    }
}

/// Tells the connection that the stream ends. An error is an error of the connection, which the
/// other end reports.
fn tell(writer: &StreamWriter, end: Option<End>) {
    let _ = match end {
        None => Ok(()),
        Some(End::Finished) => writer.finish(),
        Some(End::Failed(error)) => writer.fail(&error),
    };
}

/// The items that wait for the connection, while a thread or task sends them. On drop, the items
/// that were not sent return to the queue.
struct Batch<'p, T: Encode + Send + 'static> {
    pair: &'p Arc<Pair<T>>,
    writer: Arc<StreamWriter>,
    items: VecDeque<T>,
}

impl<T: Encode + Send + 'static> Batch<'_, T> {
    /// Sends the items. Waits for room until `until`.
    fn flush(mut self, until: Instant) -> Result<()> {
        while let Some(item) = self.items.front() {
            let sent = match encode(item, until) {
                Ok((body, handles)) => {
                    handles.with(|handles| self.writer.send(&body, handles, until))
                }
                Err(error) => self.writer.fail(&error).and(Err(error)),
            };
            self.check(sent)?;
        }
        Ok(())
    }

    /// Sends the items, or registers the task.
    fn poll_flush(mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(item) = self.items.front() {
            // The thread may be one that receives for others. So it doesn't wait, and the code of
            // the program must not unwind it.
            let sent = guard(|| {
                let (body, handles) = encode(item, Instant::now())?;
                Ok(poll_send_over(&self.writer, &body, &handles, context))
            });
            let sent = match sent {
                Ok(Ok(sent)) => ready!(sent),
                Ok(Err(error)) => self.writer.fail(&error).and(Err(error)),
                Err(text) => {
                    let error = Error::detected(ErrorKind::Panicked, text);
                    self.writer.fail(&error).and(Err(error))
                }
            };
            self.check(sent)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Drops the first item if it was sent, and all items after an error that ends the stream.
    fn check(&mut self, sent: Result<()>) -> Result<()> {
        match sent {
            Ok(()) => {
                let sent = self.items.pop_front();
                guard(|| drop(sent)).map_err(|text| Error::detected(ErrorKind::Panicked, text))
            }
            Err(error) => {
                if !is_passing(&error) {
                    let items = mem::take(&mut self.items);
                    let _ = guard(|| drop(items));
                }
                Err(error)
            }
        }
    }
}

impl<T: Encode + Send + 'static> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        let mut state = self.pair.lock();
        state.items = mem::take(&mut self.items);
        state.has_batch = false;
        let has_room = mem::take(&mut state.has_room);
        let (end, senders) = (state.take_end(), state.senders.take());
        drop(state);
        senders.wake();
        tell(&self.writer, end);
        if has_room {
            self.pair.flush();
        }
    }
}

/// Returns whether the stream continues after an error of sending: the time is over, or too many
/// handles are in flight to the peer.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Busy)
}

/// Continues with the items of a pair when the connection has room.
struct Flusher<T>(Arc<Pair<T>>);

impl<T: Encode + Send + 'static> Wake for Flusher<T> {
    fn wake(self: Arc<Self>) {
        self.0.flush();
    }
}

fn poll_send_over(
    writer: &StreamWriter,
    body: &Payload<'_>,
    handles: &OutgoingHandles<'_>,
    context: &mut Context<'_>,
) -> Poll<Result<()>> {
    loop {
        if handles.with(|handles| writer.try_send(body, handles))? {
            return Poll::Ready(Ok(()));
        }
        ready!(writer.poll_ready(body.len(), handles.len(), context))?;
    }
}

/// Encodes an item. A value whose encoding must wait for something waits until `until`.
fn encode<T: Encode>(item: &T, until: Instant) -> Result<(Payload<'_>, OutgoingHandles<'_>)> {
    let mut out = Encoder::new(Vec::new(), StreamWriter::ITEM_LIMITS).until(until);
    item.encode(&mut out);
    out.finish_lent().map_err(|error| {
        let place = match error.path.as_str() {
            "" => "item".to_owned(),
            path => format!("item `{path}`"),
        };
        Error::from(error.kind).at(&place)
    })
}

impl Absence {
    fn error(self) -> Error {
        let text = match self {
            Self::Dropped => "the reader has stopped the stream",
            Self::NotSent => "the stream was not passed: its message was not sent",
        };
        Error::detected(ErrorKind::Cancelled, text).of_no_call()
    }
}

/// Returns the error of a wait for room in the queue.
pub(super) fn no_room() -> Error {
    let text = format!(
        "timed out waiting for the reader of the stream (limit: {QUEUE_ITEMS} items wait until \
         the stream is passed or read)"
    );
    Error::detected(ErrorKind::TimedOut, text).of_no_call()
}

impl<T> fmt::Debug for Pair<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}
