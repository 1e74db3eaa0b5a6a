//! What the server knows of one client, as long as anything of it is left.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};

use syshandle_os::{BorrowedHandle, Credentials, Interest, Peer, Seqpacket, raw_os_error};

use super::event_loop::{KeyHasher, Source};
use super::jobs::{Job, Outcome};
use super::reactor::Reactor;
use super::shares::Share;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, MutexGuard};

/// What the server knows of one client: it outlives the connection where jobs do.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Credentials,
    /// What it may have of the server.
    pub(crate) share: Arc<Share>,
    /// The client's process, once it is known.
    process: OnceLock<OwnedFd>,
    /// Whether the socket of the connection can tell the client's process.
    socket_tells_process: bool,
    /// Something may go on for the client beyond its calls: so it matters whether it lets go or
    /// dies, and it is told to say good-bye.
    lasts: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    client: Client,
    /// The jobs that wait on its behalf, by their keys.
    jobs: HashMap<u64, Arc<Job>, BuildHasherDefault<KeyHasher>>,
    /// The key of the client's process, while the reactor waits for its death.
    watch: Option<u64>,
}

/// Where the process of a client is found.
#[derive(Debug)]
pub(crate) enum ClientProcess {
    /// The socket of the connection tells it.
    OfSocket,
    /// Known already.
    Known(OwnedFd),
    /// The kernel is too old to tell.
    Unknown,
}

/// What became of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Connected,
    /// It said good-bye, and lives on.
    LetGo,
    Died,
}

impl Session {
    pub(crate) fn new(client: Credentials, process: ClientProcess, share: Arc<Share>) -> Self {
        let state = State { client: Client::Connected, jobs: HashMap::default(), watch: None };
        let lasts = AtomicBool::new(false);
        let socket_tells_process = matches!(process, ClientProcess::OfSocket);
        let process = match process {
            ClientProcess::Known(process) => OnceLock::from(process),
            ClientProcess::OfSocket | ClientProcess::Unknown => OnceLock::new(),
        };
        let state = Mutex::new(state);
        Self { client, share, process, socket_tells_process, lasts, state }
    }

    /// Something may go on for the client when its calls have been answered: said before the reply
    /// of the call that this begins in.
    pub(crate) fn lasts_from_now_on(&self) {
        self.lasts.store(true, Ordering::SeqCst);
    }

    /// Whether that is so.
    pub(crate) fn lasts(&self) -> bool {
        self.lasts.load(Ordering::SeqCst)
    }

    /// Whether the connection has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.state().client != Client::Connected
    }

    /// The client's process, which can't come to mean another one.
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

    /// How many jobs wait on its behalf.
    pub(crate) fn jobs(&self) -> usize {
        self.state().jobs.len()
    }

    /// Keeps a job, which ends when the client dies; `false` when there are too many.
    pub(crate) fn add_job(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        socket: &Seqpacket,
        job: &Arc<Job>,
    ) -> bool {
        self.lasts_from_now_on();
        let mut state = self.state();
        if state.jobs.len() >= JOBS_MAX {
            return false;
        }
        state.jobs.insert(job.key(), job.clone());
        let client = state.client;
        drop(state);
        if job.has_ended() {
            // Before it was kept, so nobody has taken it out.
            self.remove_job(reactor, job.key());
        }
        match client {
            Client::Connected => {}
            Client::LetGo => self.watch(reactor, socket),
            Client::Died => self.end_jobs(reactor),
        }
        true
    }

    /// Forgets a job that has ended.
    pub(crate) fn remove_job(&self, reactor: &Reactor, key: u64) {
        let mut state = self.state();
        state.jobs.remove(&key);
        if state.jobs.is_empty() {
            self.unwatch(reactor, &mut state);
        }
    }

    /// The connection has ended, with good-bye or without.
    ///
    /// A client that died ends its jobs. One that let go still has its work done, as long as its
    /// process lives.
    pub(crate) fn end(self: &Arc<Self>, reactor: &Arc<Reactor>, socket: &Seqpacket, bye: bool) {
        self.state().client = if bye { Client::LetGo } else { Client::Died };
        match bye {
            true => self.watch(reactor, socket),
            false => self.end_jobs(reactor),
        }
    }

    /// The client's process has died.
    pub(crate) fn process_died(&self, reactor: &Arc<Reactor>) {
        let mut state = self.state();
        state.client = Client::Died;
        self.unwatch(reactor, &mut state);
        drop(state);
        self.end_jobs(reactor);
    }

    /// Sees to it that the jobs of a client that let go end when its process does.
    fn watch(self: &Arc<Self>, reactor: &Arc<Reactor>, socket: &Seqpacket) {
        let mut state = self.state();
        if state.watch.is_some() || state.jobs.is_empty() {
            return;
        }
        match self.process(socket) {
            Ok(process) => {
                let source = |_| Source::Process(self.clone());
                let watched = reactor
                    .event_loop(Reactor::FIRST)
                    .add(source, |poller, key| poller.add(process, key, Interest::OnceReadable));
                match watched {
                    Ok(key) => state.watch = Some(key),
                    Err(error) => {
                        crate::log::warn!(%error, "a client that let go can't be watched")
                    }
                }
            }
            // It has died already, and its jobs must not wait for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_process(&error) => {
                state.client = Client::Died;
                drop(state);
                self.end_jobs(reactor);
            }
            // An old kernel: its jobs end at their deadlines.
            Err(error) => crate::log::debug!(%error, "the client's process can't be watched"),
        }
    }

    fn unwatch(&self, reactor: &Reactor, state: &mut State) {
        if let (Some(key), Some(process)) = (state.watch.take(), self.process.get()) {
            reactor.remove_source(key, process.as_fd());
        }
    }

    /// Ends all jobs, since the client has died.
    fn end_jobs(&self, reactor: &Arc<Reactor>) {
        let jobs = std::mem::take(&mut self.state().jobs);
        for job in jobs.into_values() {
            reactor.end_job(job, Outcome::ClientDied);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_no_process(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    raw_os_error(error) == Some(ESRCH)
}

/// Jobs that wait on behalf of one client: as many as a large process may have files open for.
const JOBS_MAX: usize = 65_536;
