//! The streams of a connection.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use syshandle_types::MessageObject;

use super::ClientConnection;
use crate::client::linux::deadline::Deadline;
use crate::client::linux::pending_call::{is_driven, not_driven};
use crate::client::linux::reply::ReplyWait;
use crate::client::linux::tasks::Watch;
use crate::peer_socket::INTERVAL;
use crate::sync::now;
use crate::untyped_stream::{HostRef, OpeningStreams, StreamHost, StreamTask, thread_waker};
use crate::{Error, ErrorKind, Result};

/// The streams that a call opens, and the ID of each entry that is a stream.
type OpenedStreams = Option<(OpeningStreams, Vec<Option<u32>>)>;

impl ClientConnection {
    /// Returns whether messages may open streams.
    pub(in crate::client::linux) fn takes_streams(&self) -> bool {
        self.takes_streams
    }

    /// Opens the streams of a call.
    ///
    /// # Errors
    /// `Busy` if too many streams are open.
    pub(in crate::client::linux) fn open_streams(
        self: &Arc<Self>,
        entries: &[Option<MessageObject>],
        timeout: Duration,
    ) -> Result<OpenedStreams> {
        let opened = OpeningStreams::open(&self.streams, &self.stream_host(), entries, timeout);
        opened.map_err(|limit| {
            self.wake_streams();
            Error::detected(ErrorKind::Busy, format!("too many {limit}"))
        })
    }

    /// Wakes the writers of streams that have ended because their call was not sent.
    pub(in crate::client::linux) fn wake_streams(&self) {
        self.streams.wake();
    }

    /// Returns the connection as the host of streams, which keep it open.
    pub(in crate::client::linux) fn stream_host(self: &Arc<Self>) -> HostRef {
        HostRef::Client(self.clone())
    }
}

impl StreamHost for ClientConnection {
    fn wait_in_thread(
        &self,
        until: Instant,
        is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> Result<bool> {
        let waker = thread_waker();
        let mut deadline = Deadline::until(until, None);
        let waited = self.wait(&mut deadline, &mut ReplyWait::default(), |_, _| {
            is_ready(&mut Context::from_waker(&waker)).then_some(())
        });
        match waited {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn watch_for_room(&self) {
        self.state().tasks.require(Watch { next: None, room: true });
    }

    fn wait_as_task(self: Arc<Self>, task: &mut StreamTask, waker: &Waker) -> Result<()> {
        let mut state = self.state();
        if state.calls.ended().is_some() {
            return Ok(());
        }
        let calls = &mut state.calls;
        let number = *task.0.get_or_insert_with(|| calls.add_waiter(None).number);
        // Any later dispatch sets the time of the next one.
        let watch = Watch { next: Some(now() + INTERVAL), room: self.streams.wants_room() };
        state.wait_as_task(number, waker, watch);
        drop(state);
        match is_driven(&self) {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_driven()),
            Err(error) => Err(error),
        }
    }

    fn forget_task(&self, task: &mut StreamTask) {
        if let Some(number) = task.0.take() {
            self.state().tasks.forget(number);
        }
    }
}
