//! The session of a client: state that can outlive its connection.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};

use syshandle_os::{
    BorrowedHandle, Credentials, Interest, Peer, PollEvent, Seqpacket, raw_os_error,
};

use super::reactor::event_loop::{EventOutcome, LoopContext, LoopSource};
use super::reactor::key_hasher::KeyHasher;
use super::reactor::{Reactor, UserCode};
use super::task::Task;
use crate::quota::Quota;
use crate::server::Outcome;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, MutexGuard};

/// The session of a client. Background tasks extend it beyond the connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Credentials,
    /// The quota of the client.
    pub(crate) quota: Arc<Quota>,
    /// A handle to the client's process, if it was needed.
    process: OnceLock<OwnedFd>,
    /// Whether the socket of the connection can report the client's process.
    socket_tells_process: bool,
    /// Whether the session may last beyond the client's calls. Then it matters whether the client
    /// disconnects in order or dies, so replies ask the client for a bye.
    lasts: AtomicBool,
    /// Whether references to objects of the server are numbers.
    takes_objects: AtomicBool,
    /// Whether messages may open streams.
    takes_streams: AtomicBool,
    state: Mutex<SessionState>,
}

#[derive(Debug)]
struct SessionState {
    client: ClientStatus,
    /// The background tasks of the client, by their keys.
    tasks: HashMap<u64, Arc<Task>, BuildHasherDefault<KeyHasher>>,
    /// The key of the client's process as a source, while the reactor waits for its death.
    watch: Option<u64>,
}

/// The source of the handle to a client's process.
#[derive(Debug)]
pub(crate) enum ClientProcess {
    /// The socket of the connection reports the process.
    OfSocket,
    /// The handle was received before.
    Known(OwnedFd),
    /// The kernel is too old to report the process.
    Unknown,
}

/// The state of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientStatus {
    Connected,
    /// The client said bye, and its process lives.
    LetGo,
    Died,
}

impl Session {
    pub(crate) fn new(client: Credentials, process: ClientProcess, quota: Arc<Quota>) -> Self {
        let state = SessionState {
            client: ClientStatus::Connected,
            tasks: HashMap::default(),
            watch: None,
        };
        let [lasts, takes_objects, takes_streams] = [(); 3].map(|()| AtomicBool::new(false));
        let socket_tells_process = matches!(process, ClientProcess::OfSocket);
        let process = match process {
            ClientProcess::Known(process) => OnceLock::from(process),
            ClientProcess::OfSocket | ClientProcess::Unknown => OnceLock::new(),
        };
        let state = Mutex::new(state);
        Self {
            client,
            quota,
            process,
            socket_tells_process,
            lasts,
            takes_objects,
            takes_streams,
            state,
        }
    }

    /// Records that the session may last beyond the client's calls. Called before the reply of the
    /// call that causes it.
    pub(crate) fn lasts_from_now_on(&self) {
        self.lasts.store(true, Ordering::SeqCst);
    }

    /// Returns whether the session may last beyond the client's calls.
    pub(crate) fn lasts(&self) -> bool {
        self.lasts.load(Ordering::SeqCst)
    }

    /// Records whether references to objects of the server are numbers, and whether messages may
    /// open streams. Called before the first call.
    pub(super) fn set_features(&self, takes_objects: bool, takes_streams: bool) {
        self.takes_objects.store(takes_objects, Ordering::Relaxed);
        self.takes_streams.store(takes_streams, Ordering::Relaxed);
    }

    /// Returns whether messages may open streams.
    pub(super) fn takes_streams(&self) -> bool {
        self.takes_streams.load(Ordering::Relaxed)
    }

    /// Returns whether references to objects of the server are numbers.
    pub(super) fn takes_objects(&self) -> bool {
        self.takes_objects.load(Ordering::Relaxed)
    }

    /// Returns whether the connection has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.state().client != ClientStatus::Connected
    }

    /// Returns a handle to the client's process, which never refers to another process.
    pub(crate) fn process(&self, socket: &Seqpacket) -> io::Result<BorrowedHandle<'_>> {
        if let Some(process) = self.process.get() {
            return Ok(process.as_fd());
        }
        if !self.socket_tells_process {
            let text = "the kernel has no handle to the process of a client at a door";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let process = socket.peer_process()?;
        Ok(self.process.get_or_init(|| process).as_fd())
    }

    /// Returns the number of background tasks of the client.
    pub(crate) fn tasks(&self) -> usize {
        self.state().tasks.len()
    }

    /// Adds a background task, which ends when the client dies.
    pub(crate) fn add_task(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        socket: &Seqpacket,
        task: &Arc<Task>,
    ) {
        self.lasts_from_now_on();
        let mut state = self.state();
        state.tasks.insert(task.key(), task.clone());
        let client = state.client;
        drop(state);
        if task.has_ended() {
            // The task ended before it was added, so its end could not remove it.
            self.remove_task(reactor, task.key());
        }
        match client {
            ClientStatus::Connected => {}
            ClientStatus::LetGo => self.watch(reactor, socket),
            ClientStatus::Died => self.end_tasks(reactor),
        }
    }

    /// Removes a background task that has ended.
    pub(crate) fn remove_task(&self, reactor: &Reactor, key: u64) {
        let mut state = self.state();
        state.tasks.remove(&key);
        if state.tasks.is_empty() {
            self.unwatch(reactor, &mut state);
        }
    }

    /// Records the end of the connection, with or without a bye.
    ///
    /// The death of a client ends its background tasks. After a bye, the tasks continue as long as
    /// the client's process lives.
    pub(crate) fn end(self: &Arc<Self>, reactor: &Arc<Reactor>, socket: &Seqpacket, bye: bool) {
        self.state().client = if bye { ClientStatus::LetGo } else { ClientStatus::Died };
        match bye {
            true => self.watch(reactor, socket),
            false => self.end_tasks(reactor),
        }
    }

    /// Handles the death of the client's process.
    fn process_died(self: &Arc<Self>, reactor: &Arc<Reactor>) {
        let mut state = self.state();
        state.client = ClientStatus::Died;
        self.unwatch(reactor, &mut state);
        drop(state);
        self.end_tasks(reactor);
    }

    /// Watches the process of a client that said bye, so that its background tasks end with the
    /// process.
    fn watch(self: &Arc<Self>, reactor: &Arc<Reactor>, socket: &Seqpacket) {
        let mut state = self.state();
        if state.watch.is_some() || state.tasks.is_empty() {
            return;
        }
        match self.process(socket) {
            Ok(process) => {
                let source = |_| -> Arc<dyn LoopSource> { Arc::new(ClientExit(self.clone())) };
                let watched = reactor
                    .event_loop(Reactor::FIRST)
                    .add(source, |poller, key| poller.add(process, key, Interest::OnceReadable));
                match watched {
                    Ok(key) => state.watch = Some(key),
                    Err(error) => {
                        crate::log::warn!(%error, "the process of a client that disconnected can't be watched")
                    }
                }
            }
            // The process has died already, and the tasks must not wait for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_process(&error) => {
                state.client = ClientStatus::Died;
                drop(state);
                self.end_tasks(reactor);
            }
            // On an old kernel, the tasks end at their deadlines.
            Err(error) => crate::log::debug!(%error, "the client's process can't be watched"),
        }
    }

    fn unwatch(&self, reactor: &Reactor, state: &mut SessionState) {
        if let (Some(key), Some(process)) = (state.watch.take(), self.process.get()) {
            reactor.remove_source(key, process.as_fd());
        }
    }

    /// Ends all background tasks, because the client has died.
    fn end_tasks(self: &Arc<Self>, reactor: &Arc<Reactor>) {
        let tasks = std::mem::take(&mut self.state().tasks);
        self.end_next_task(reactor, tasks.into_values());
    }

    /// Has the thread of the first loop end one background task after the other. Other clients get
    /// turns between them.
    fn end_next_task(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        mut tasks: impl ExactSizeIterator<Item = Arc<Task>> + Send + 'static,
    ) {
        let Some(task) = tasks.next() else { return };
        let session = self.clone();
        reactor.queue(UserCode::boxed(&self.quota, move |reactor| {
            // The callback of this task may block.
            session.end_next_task(reactor, tasks);
            task.end(reactor, Outcome::ClientDied);
        }));
    }

    fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The process of a client that disconnected in order and still has background tasks.
struct ClientExit(Arc<Session>);

impl LoopSource for ClientExit {
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        let running = context.start_running();
        self.0.process_died(context.reactor);
        EventOutcome::after(running)
    }

    fn owner(&self) -> Option<&Arc<Quota>> {
        Some(&self.0.quota)
    }
}

fn is_no_process(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    raw_os_error(error) == Some(ESRCH)
}
