//! What the server knows of the client of an object, as long as anything of it is left.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syshandle_com::Caller;
use syshandle_os::{ManualEvent, Process, Watch};
use syshandle_wire::{Fault, Guid};

use super::activity::{Activity, Hold};
use super::jobs::{Job, Outcome};

/// What the server knows of the client of an object: it outlives the object where jobs do.
#[derive(Debug)]
pub(crate) struct Session {
    activity: Arc<Activity>,
    /// Set when work in the background has failed.
    failed: ManualEvent,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    client: Client,
    /// The client's process, and the wait for its end.
    process: Option<Arc<Process>>,
    watch: Option<Watch>,
    /// Keeps the server alive for the object.
    hold: Option<Hold>,
    /// Why work in the background failed.
    failure: Option<Fault>,
    /// What the last calls were told, for clients that ask for more than a number.
    faults: VecDeque<(Caller, Vec<u8>)>,
    /// The jobs that wait on the client's behalf.
    jobs: HashMap<u64, Arc<Job>>,
    last_job: u64,
}

/// What became of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// Nobody has called yet.
    Unknown,
    /// This process has the object.
    Connected(u32),
    /// It has let go of the object, and lives on.
    LetGo,
    Died,
}

impl Session {
    pub(crate) fn new(activity: &Arc<Activity>) -> io::Result<Self> {
        let state = State {
            client: Client::Unknown,
            process: None,
            watch: None,
            hold: Some(activity.hold()),
            failure: None,
            faults: VecDeque::new(),
            jobs: HashMap::new(),
            last_job: 0,
        };
        let failed = ManualEvent::new()?;
        Ok(Self { activity: activity.clone(), failed, state: Mutex::new(state) })
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Whether the client has let go, or died.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state().client, Client::LetGo | Client::Died)
    }

    /// The client's process; this one, for an object that is called from within.
    pub(crate) fn process(&self) -> io::Result<Process> {
        match &self.state().process {
            Some(process) => process.try_clone(),
            None => Process::current(),
        }
    }

    /// The first process that calls has the object: watches for its end, which ends the jobs and
    /// does `when_dead`.
    pub(crate) fn belongs_to(
        self: &Arc<Self>,
        client: u32,
        when_dead: impl FnOnce() + Send + 'static,
    ) {
        let mut state = self.state();
        if state.client != Client::Unknown {
            return;
        }
        state.client = Client::Connected(client);
        let watched = Process::open(client).and_then(|process| {
            let process = Arc::new(process);
            let session = Arc::downgrade(self);
            let object = Box::new(process.try_clone()?);
            let watch = Watch::start(object, None, move |_| {
                if let Some(session) = session.upgrade() {
                    session.died();
                }
                when_dead();
            })?;
            Ok((process, watch))
        });
        match watched {
            Ok((process, watch)) => {
                state.process = Some(process);
                state.watch = Some(watch);
            }
            // Its references are COM's to count, and its jobs end at their deadlines.
            Err(error) => crate::log::warn!(%error, client, "a client can't be watched"),
        }
    }

    /// The object's last reference was given up: its jobs go on, as long as the client's process
    /// lives.
    pub(crate) fn let_go(&self) {
        let mut state = self.state();
        if state.client != Client::Died {
            state.client = Client::LetGo;
        }
        let hold = state.hold.take();
        let watch = state.jobs.is_empty().then(|| state.watch.take()).flatten();
        drop(state);
        drop((hold, watch));
    }

    /// The client's process has ended.
    fn died(&self) {
        let mut state = self.state();
        let was = std::mem::replace(&mut state.client, Client::Died);
        let jobs = std::mem::take(&mut state.jobs);
        let hold = state.hold.take();
        drop(state);
        crate::log::debug!(?was, jobs = jobs.len(), "a client has died");
        for job in jobs.into_values() {
            job.end(Outcome::ClientDied);
        }
        drop(hold);
    }

    /// Set when work in the background has failed.
    pub(crate) fn failed(&self) -> &ManualEvent {
        &self.failed
    }

    /// Why it has.
    pub(crate) fn failure(&self) -> Option<Fault> {
        self.state().failure.clone()
    }

    /// Work in the background has failed: ends the client's waits.
    pub(crate) fn fail(&self, fault: Fault) {
        self.state().failure.get_or_insert(fault);
        if let Err(error) = self.failed.set() {
            crate::log::error!(%error, "a client can't be told that work failed");
        }
    }

    /// Keeps what a call is told.
    pub(crate) fn keep_fault(&self, caller: Caller, fault: &[u8]) {
        let mut state = self.state();
        state.faults.retain(|(other, _)| *other != caller);
        if state.faults.len() == FAULTS_MAX {
            state.faults.pop_front();
        }
        state.faults.push_back((caller, fault.to_vec()));
    }

    /// What the last call of this chain of calls, by the process that asks, was told.
    pub(crate) fn fault(&self, logical_thread: Guid) -> Option<Vec<u8>> {
        let process_id = Caller::current().process_id;
        let wanted = Caller { process_id, logical_thread };
        let mut state = self.state();
        let place = state.faults.iter().position(|(caller, _)| *caller == wanted)?;
        state.faults.remove(place).map(|(_, fault)| fault)
    }

    /// Keeps a job, which ends when the client dies, under a number of its own; `None` when there
    /// are too many, or the client has died.
    pub(crate) fn add_job(&self, job: impl FnOnce(u64) -> Arc<Job>) -> Option<Arc<Job>> {
        let mut state = self.state();
        if state.jobs.len() >= JOBS_MAX {
            return None;
        }
        state.last_job += 1;
        let number = state.last_job;
        let job = job(number);
        state.jobs.insert(number, job.clone());
        Some(job)
    }

    /// Whether the client has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().client == Client::Died
    }

    /// Forgets a job that has ended.
    pub(crate) fn remove_job(&self, number: u64) {
        let mut state = self.state();
        let job = state.jobs.remove(&number);
        let over = state.jobs.is_empty() && state.client == Client::LetGo;
        let watch = over.then(|| state.watch.take()).flatten();
        drop(state);
        drop((job, watch));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs that wait on behalf of one client: as many as the system's pool watches gladly.
const JOBS_MAX: usize = 65_536;

/// Errors that are kept for clients to ask for: each asks at once, if ever.
const FAULTS_MAX: usize = 64;
