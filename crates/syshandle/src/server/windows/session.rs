//! Session: the server's state of an object's client.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syshandle_com::Caller;
use syshandle_os::{ManualEvent, Process, Watch};
use syshandle_types::Guid;
use syshandle_wire::Fault;

use super::activity::{Activity, ActivityKind, KeepAlive};
use super::task::Task;
use crate::server::Outcome;

/// State of an object's client. It outlives the object while background tasks are pending.
#[derive(Debug)]
pub(crate) struct Session {
    activity: Arc<Activity>,
    /// Signalled when background work has failed.
    failed: ManualEvent,
    state: Mutex<SessionState>,
}

#[derive(Debug)]
struct SessionState {
    client: ClientStatus,
    /// Client's process.
    process: Option<Arc<Process>>,
    watch: Option<Watch>,
    /// Keeps the server alive for the object.
    keep_alive: Option<KeepAlive>,
    /// Fault of the failed background work.
    failure: Option<Fault>,
    /// Faults of the last calls, for clients that query more than an error number.
    faults: VecDeque<(Caller, Vec<u8>)>,
    /// Pending background tasks of the client.
    tasks: HashMap<u64, Arc<Task>>,
    last_task: u64,
}

/// State of the client's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientStatus {
    /// No process has called yet.
    Unknown,
    /// The process with this id holds the object.
    Connected(u32),
    /// The process has released the object, and may still run.
    LetGo,
    Died,
}

impl Session {
    pub(crate) fn new(activity: &Arc<Activity>) -> io::Result<Self> {
        let state = SessionState {
            client: ClientStatus::Unknown,
            process: None,
            watch: None,
            keep_alive: Some(activity.keep_alive(ActivityKind::Object)),
            failure: None,
            faults: VecDeque::new(),
            tasks: HashMap::new(),
            last_task: 0,
        };
        let failed = ManualEvent::new()?;
        Ok(Self { activity: activity.clone(), failed, state: Mutex::new(state) })
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Returns whether the client has released the object or has died.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state().client, ClientStatus::LetGo | ClientStatus::Died)
    }

    /// Returns the client's process, or this process for an object that is called from within.
    pub(crate) fn process(&self) -> io::Result<Process> {
        match &self.state().process {
            Some(process) => process.try_clone(),
            None => Process::current(),
        }
    }

    /// Records the first process that calls as the client. Watches for its end, which ends the
    /// background tasks and runs `when_dead`.
    pub(crate) fn belongs_to(
        self: &Arc<Self>,
        client: u32,
        when_dead: impl FnOnce() + Send + 'static,
    ) {
        let mut state = self.state();
        if state.client != ClientStatus::Unknown {
            return;
        }
        state.client = ClientStatus::Connected(client);
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
            // COM still counts the client's references, and its background tasks end at their
            // timeouts.
            Err(error) => crate::log::warn!(%error, pid = client, "a client can't be watched"),
        }
    }

    /// Records that the last reference was released. The background tasks continue while the
    /// client's process lives.
    pub(crate) fn let_go(&self) {
        let mut state = self.state();
        if state.client != ClientStatus::Died {
            state.client = ClientStatus::LetGo;
        }
        let keep_alive = state.keep_alive.take();
        let watch = state.tasks.is_empty().then(|| state.watch.take()).flatten();
        drop(state);
        drop((keep_alive, watch));
    }

    /// Records that the client's process has ended.
    fn died(&self) {
        let mut state = self.state();
        state.client = ClientStatus::Died;
        let tasks = std::mem::take(&mut state.tasks);
        let keep_alive = state.keep_alive.take();
        drop(state);
        crate::log::debug!(tasks = tasks.len(), "a client has died");
        for task in tasks.into_values() {
            task.end(Outcome::ClientDied);
        }
        drop(keep_alive);
    }

    /// Returns the event that is signalled when background work has failed.
    pub(crate) fn failed(&self) -> &ManualEvent {
        &self.failed
    }

    /// Returns the fault of the failed background work.
    pub(crate) fn failure(&self) -> Option<Fault> {
        self.state().failure.clone()
    }

    /// Records that background work has failed, which ends the client's waits.
    pub(crate) fn fail(&self, fault: Fault) {
        self.state().failure.get_or_insert(fault);
        if let Err(error) = self.failed.set() {
            crate::log::error!(%error, "a client can't be notified of failed background work");
        }
    }

    /// Stores the fault of a call.
    pub(crate) fn keep_fault(&self, caller: Caller, fault: &[u8]) {
        let mut state = self.state();
        state.faults.retain(|(other, _)| *other != caller);
        if state.faults.len() == FAULTS_MAX {
            state.faults.pop_front();
        }
        state.faults.push_back((caller, fault.to_vec()));
    }

    /// Takes the fault of the last call in this chain of calls by the calling process.
    pub(crate) fn fault(&self, logical_thread: Guid) -> Option<Vec<u8>> {
        let process_id = Caller::current().process_id;
        let wanted = Caller { process_id, logical_thread };
        let mut state = self.state();
        let place = state.faults.iter().position(|(caller, _)| *caller == wanted)?;
        state.faults.remove(place).map(|(_, fault)| fault)
    }

    /// Adds a background task, which ends when the client dies. Returns `None` if there are too
    /// many.
    pub(crate) fn add_task(&self, task: impl FnOnce(u64) -> Arc<Task>) -> Option<Arc<Task>> {
        let mut state = self.state();
        if state.tasks.len() >= TASKS_MAX {
            return None;
        }
        state.last_task += 1;
        let number = state.last_task;
        let task = task(number);
        state.tasks.insert(number, task.clone());
        Some(task)
    }

    /// Returns whether the client has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().client == ClientStatus::Died
    }

    /// Removes a background task that has ended.
    pub(crate) fn remove_task(&self, number: u64) {
        let mut state = self.state();
        let task = state.tasks.remove(&number);
        let over = state.tasks.is_empty() && state.client == ClientStatus::LetGo;
        let watch = over.then(|| state.watch.take()).flatten();
        drop(state);
        drop((task, watch));
    }

    fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limit of pending background tasks of one client: the system's thread pool copes with this
/// number.
const TASKS_MAX: usize = 65_536;

/// Limit of stored faults. A client that wants one queries it right after its call.
const FAULTS_MAX: usize = 64;
