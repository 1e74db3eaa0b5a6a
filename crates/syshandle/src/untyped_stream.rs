//! The streams of a connection, without the types of their items.
//!
//! [`Streams`] belongs to one side of a connection. A [`StreamWriter`] sends encoded items, and a
//! [`StreamReader`] gets them. A message opens a stream: its sender passes a [`PassedStream`], and
//! its receiver gets a [`ReceivedStream`].
//!
//! The lock of the streams is taken last: no other lock is taken while it is held. Tasks and threads
//! to wake are collected, and are woken by [`Streams::wake`] when no lock is held.

mod passing;
mod reader;
mod state;
mod writer;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use syshandle_os::ProcessMark;
use syshandle_wire::{Fault, Header, Violation};

pub(crate) use self::passing::{
    OpeningStreams, PassedStream, ReceivedStream, UnclaimedStream, WriterSlot,
};
pub(crate) use self::reader::{EncodedItem, StreamReader};
use self::state::State;
pub(crate) use self::writer::StreamWriter;
use crate::link::Link;
use crate::received_handles::ReceivedHandles;
use crate::setup::other_process;
use crate::sync::atomic::AtomicBool;
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, before_stream_wait, now};
use crate::{Error, ErrorKind, Result};

/// The streams of one side of a connection.
#[derive(Debug)]
pub(crate) struct Streams {
    owner: ProcessMark,
    /// Whether a stream was ever opened.
    is_used: AtomicBool,
    host: OnceLock<Weak<dyn StreamHost>>,
    /// Whether frames of calls wait for room in the socket. Items are sent after them.
    calls_wait: AtomicBool,
    /// Whether frames of streams wait for room in the socket.
    wants_room: AtomicBool,
    /// Whether there is anything to wake.
    has_woken: AtomicBool,
    state: Mutex<State>,
}

/// The connection of streams.
pub(crate) trait StreamHost: Send + Sync + std::fmt::Debug {
    /// Waits in this thread until `is_ready` returns `true`. Returns `false` at `until`.
    fn wait_in_thread(
        &self,
        until: Instant,
        is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> Result<bool>;

    /// Has the receiver of the connection's frames wait for room in the socket too.
    fn watch_for_room(&self);

    /// Ensures that frames are received while a task waits. `task` identifies the task.
    fn wait_as_task(self: Arc<Self>, task: &mut StreamTask, waker: &Waker) -> Result<()>;

    /// Forgets a task.
    fn forget_task(&self, task: &mut StreamTask);
}

/// Identifies a task that waits for a stream.
#[derive(Debug, Default)]
pub(crate) struct StreamTask(pub(crate) Option<u64>);

/// The connection of one end of a stream. An end at a client keeps the connection open.
#[derive(Clone, Debug)]
pub(crate) enum HostRef {
    Client(Arc<dyn StreamHost>),
    Server(Weak<dyn StreamHost>),
}

impl HostRef {
    fn get(&self) -> Option<Arc<dyn StreamHost>> {
        match self {
            Self::Client(host) => Some(host.clone()),
            Self::Server(host) => host.upgrade(),
        }
    }
}

impl Streams {
    /// Makes the streams of a connection, of which there are none yet.
    pub(crate) fn new(link: &Arc<Link>) -> Arc<Self> {
        Arc::new(Self {
            owner: ProcessMark::current(),
            is_used: AtomicBool::new(false),
            host: OnceLock::new(),
            calls_wait: AtomicBool::new(false),
            wants_room: AtomicBool::new(false),
            has_woken: AtomicBool::new(false),
            state: Mutex::new(State::new(link.clone())),
        })
    }

    /// Sets the connection.
    pub(crate) fn set_host(&self, host: Weak<dyn StreamHost>) {
        let _ = self.host.set(host);
    }

    /// Processes a frame of a stream. The caller calls [`Streams::wake`] afterwards.
    ///
    /// # Errors
    /// The peer violated the protocol.
    pub(crate) fn receive(
        &self,
        header: &Header,
        body: &[u8],
        handles: ReceivedHandles,
        handles_lost: bool,
    ) -> Result<(), Violation> {
        let mut state = self.state();
        // Handles that are not kept are closed after the lock was released.
        let (received, _dropped) = state.receive(header, body, handles, handles_lost);
        received?;
        self.unlock(state);
        Ok(())
    }

    /// Returns whether frames of streams wait for room in the socket.
    #[inline]
    pub(crate) fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Relaxed)
    }

    /// Records whether frames of calls wait for room in the socket.
    #[inline]
    pub(crate) fn set_calls_wait(&self, calls_wait: bool) {
        if self.calls_wait.load(Ordering::Relaxed) != calls_wait {
            self.calls_wait.store(calls_wait, Ordering::SeqCst);
        }
    }

    /// Sends frames that waited for room in the socket. The caller calls [`Streams::wake`]
    /// afterwards.
    #[cold]
    pub(crate) fn on_room(&self) {
        if self.calls_wait.load(Ordering::SeqCst) {
            return;
        }
        let mut state = self.state();
        self.wants_room.store(false, Ordering::SeqCst);
        state.send_due();
        self.unlock(state);
    }

    /// Ends all streams, because the connection has ended for this reason. The caller calls
    /// [`Streams::wake`] afterwards.
    pub(crate) fn end(&self, reason: Error) {
        let mut state = self.state();
        // The last references to the connection's socket may be dropped here.
        let dropped = state.end(Arc::new(reason));
        self.unlock(state);
        drop(dropped);
    }

    /// Ends the streams that this side writes, because the server drains. The caller calls
    /// [`Streams::wake`] afterwards.
    pub(crate) fn drain(&self) {
        let mut state = self.state();
        state.drain(&Fault::Draining);
        self.unlock(state);
    }

    /// Returns whether a stream was ever opened.
    #[inline]
    pub(crate) fn are_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Returns the connection, for the ends of streams at a server.
    pub(crate) fn server_host(&self) -> Option<HostRef> {
        self.host.get().cloned().map(HostRef::Server)
    }

    /// Checks that this process made the connection. A forked copy of the process may not use its
    /// streams.
    fn check_owner(&self) -> Result<()> {
        match self.owner.is_current() {
            true => Ok(()),
            false => Err(other_process("stream")),
        }
    }

    /// Wakes tasks and threads, which may run any code. Must be called without a lock.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.has_woken.load(Ordering::Relaxed) {
            self.take_woken().into_iter().for_each(Waker::wake);
        }
        self.watch_for_room();
    }

    /// Takes the tasks and threads to wake.
    #[inline]
    pub(crate) fn take_woken(&self) -> Vec<Waker> {
        if !self.has_woken.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut state = self.state();
        self.has_woken.store(false, Ordering::Relaxed);
        std::mem::take(&mut state.woken)
    }

    /// Lets the connection watch for room if frames wait for it. Must be called without a lock.
    fn watch_for_room(&self) {
        if self.wants_room() {
            if let Some(host) = self.host.get().and_then(Weak::upgrade) {
                host.watch_for_room();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the lock, and publishes what its holder has found.
    fn unlock(&self, state: MutexGuard<'_, State>) {
        if state.wants_room() {
            self.wants_room.store(true, Ordering::SeqCst);
        }
        if !state.woken.is_empty() {
            self.has_woken.store(true, Ordering::SeqCst);
        }
    }
}

/// Waits in a thread of a server until `is_ready` returns `true`. Returns `false` at `until`.
///
/// The thread may run the loop that receives the connection's frames, so it gives the loop away.
pub(crate) fn park_until(
    until: Instant,
    is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool,
) -> bool {
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if is_ready(&mut context) {
            return true;
        }
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            return false;
        }
        before_stream_wait();
        thread::park_timeout(left);
    }
}

/// Returns the waker of this thread.
pub(crate) fn thread_waker() -> Waker {
    Waker::from(Arc::new(ThreadWaker(thread::current())))
}

/// Unparks a thread.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns the error of a wait that has taken too long.
#[cold]
fn timed_out(text: &str) -> Error {
    Error::detected(ErrorKind::TimedOut, text).of_no_call()
}

/// Returns whether a send failed because the peer has disconnected. The end of the connection is
/// handled when it is received.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
