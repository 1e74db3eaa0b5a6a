//! What the server knows of one client, as long as anything of it is left.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use syshandle_os::{BorrowedHandle, Credentials, Interest, Peer, Seqpacket};

use super::jobs::{Job, Outcome};
use super::reactor::{Reactor, Source};

/// What the server knows of one client: it outlives the connection where jobs do.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Credentials,
    /// The connection has ended.
    gone: AtomicBool,
    /// The client's process, once it was asked for.
    process: OnceLock<OwnedFd>,
    /// The jobs that wait on its behalf, by their keys.
    jobs: Mutex<HashMap<u64, Arc<Job>>>,
}

impl Session {
    pub(crate) fn new(client: Credentials) -> Self {
        Self {
            client,
            gone: AtomicBool::new(false),
            process: OnceLock::new(),
            jobs: Mutex::default(),
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// The client's process, which can't come to mean another one.
    pub(crate) fn process(&self, socket: &Seqpacket) -> io::Result<BorrowedHandle<'_>> {
        if let Some(process) = self.process.get() {
            return Ok(process.as_fd());
        }
        let process = socket.peer_process()?;
        Ok(self.process.get_or_init(|| process).as_fd())
    }

    /// The client's process, if it was asked for.
    pub(crate) fn watched_process(&self) -> Option<BorrowedHandle<'_>> {
        self.process.get().map(AsFd::as_fd)
    }

    /// Keeps a job; `false` when there are too many.
    pub(crate) fn add_job(&self, job: &Arc<Job>) -> bool {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let room = jobs.len() < JOBS_MAX;
        if room {
            jobs.insert(job.key(), job.clone());
        }
        room
    }

    /// Forgets a job that has ended.
    pub(crate) fn remove_job(&self, key: u64) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// The connection has ended, with good-bye or without.
    ///
    /// A client that died ends its jobs. One that let go still has its work done, as long as its
    /// process lives.
    pub(crate) fn end(self: &Arc<Self>, reactor: &Arc<Reactor>, socket: &Seqpacket, bye: bool) {
        self.gone.store(true, Ordering::SeqCst);
        if self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        if !bye {
            return self.end_jobs(reactor, Outcome::ClientDied);
        }
        match self.process(socket) {
            Ok(process) => {
                let source = |_| Source::Process(self.clone());
                let watched = reactor.add_source(source, |poller, key| {
                    poller.add(process, key, Interest::OnceReadable)
                });
                if let Err(error) = watched {
                    tracing::warn!(%error, "a client that let go can't be watched");
                }
            }
            // It has died already, and its jobs must not wait for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_process(&error) => {
                self.end_jobs(reactor, Outcome::ClientDied);
            }
            // An old kernel: its jobs end at their deadlines.
            Err(error) => tracing::debug!(%error, "the client's process can't be watched"),
        }
    }

    /// Ends all jobs.
    pub(crate) fn end_jobs(&self, reactor: &Arc<Reactor>, outcome: Outcome) {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        for job in jobs.into_values() {
            job.end(reactor, outcome);
        }
    }
}

fn is_no_process(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.raw_os_error() == Some(ESRCH)
}

/// Jobs that wait on behalf of one client: as many as a large process may have files open for.
const JOBS_MAX: usize = 65_536;
