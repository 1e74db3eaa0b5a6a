//! Session: the server's state of an object's client.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syshandle_com::Caller;
use syshandle_os::{ManualEvent, Process, Watch};
use syshandle_types::Guid;
use syshandle_wire::Fault;

use super::activity::{Activity, ActivityKind, KeepAlive};
use super::task::Task;
use crate::server::Outcome;

/// The program's object, as far as the session of its client needs it.
pub(crate) trait HeldObject: Debug + Send + Sync {
    /// Drops the object. Runs user code.
    fn release(&self);
}

/// State of an object's client. It outlives the object while background tasks are pending.
#[derive(Debug)]
pub(crate) struct Session {
    activity: Arc<Activity>,
    /// Signalled when all calls of the client have failed.
    failed: ManualEvent,
    state: Mutex<SessionState>,
}

#[derive(Debug)]
struct SessionState {
    client: ClientStatus,
    /// The program's object; `None` once the client has released it or has died, or the server has
    /// ended.
    object: Option<Arc<dyn HeldObject>>,
    /// Client's process.
    process: Option<Arc<Process>>,
    watch: Option<Watch>,
    /// Keeps the server alive for the object.
    keep_alive: Option<KeepAlive>,
    /// Fault of all calls of the client.
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
    Released,
    Died,
}

impl Session {
    pub(crate) fn new(
        object: Arc<dyn HeldObject>,
        activity: &Arc<Activity>,
    ) -> io::Result<Arc<Self>> {
        let state = SessionState {
            client: ClientStatus::Unknown,
            object: Some(object),
            process: None,
            watch: None,
            keep_alive: Some(activity.keep_alive(ActivityKind::Object)),
            failure: None,
            faults: VecDeque::new(),
            tasks: HashMap::new(),
            last_task: 0,
        };
        let failed = ManualEvent::new()?;
        let session =
            Arc::new(Self { activity: activity.clone(), failed, state: Mutex::new(state) });
        activity.add_session(&session);
        Ok(session)
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Returns whether no client waits for results any more: it has released the object or has
    /// died, or an error has ended its calls.
    pub(crate) fn is_cancelled(&self) -> bool {
        let state = self.state();
        matches!(state.client, ClientStatus::Released | ClientStatus::Died)
            || state.failure.is_some()
    }

    /// Returns the client's process, or this process for an object that is called from within.
    pub(crate) fn process(&self) -> io::Result<Process> {
        match &self.state().process {
            Some(process) => process.try_clone(),
            None => Process::current(),
        }
    }

    /// Records the first process that calls as the client. Watches for its end, which ends the
    /// background tasks and drops the program's object.
    pub(crate) fn belongs_to(self: &Arc<Self>, client: u32) {
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
    pub(crate) fn release(&self) {
        let mut state = self.state();
        if state.client != ClientStatus::Died {
            state.client = ClientStatus::Released;
        }
        let (object, keep_alive) = (state.object.take(), state.keep_alive.take());
        let watch = state.tasks.is_empty().then(|| state.watch.take()).flatten();
        drop(state);
        // The server stays alive while the destructor of the program's object runs.
        if let Some(object) = object {
            object.release();
        }
        drop((keep_alive, watch));
    }

    /// Records that the client's process has ended.
    fn died(&self) {
        let mut state = self.state();
        state.client = ClientStatus::Died;
        let tasks = std::mem::take(&mut state.tasks);
        let (object, keep_alive) = (state.object.take(), state.keep_alive.take());
        drop(state);
        crate::log::debug!(tasks = tasks.len(), "a client has died");
        for task in tasks.into_values() {
            task.end(Outcome::ClientDied);
        }
        if let Some(object) = object {
            object.release();
        }
        drop(keep_alive);
    }

    /// Drops the program's object because the server ends.
    pub(super) fn close(&self) {
        let mut state = self.state();
        let (object, keep_alive) = (state.object.take(), state.keep_alive.take());
        drop(state);
        if let Some(object) = object {
            object.release();
        }
        drop(keep_alive);
    }

    /// Returns the pending background tasks.
    pub(super) fn tasks(&self) -> Vec<Arc<Task>> {
        self.state().tasks.values().cloned().collect()
    }

    /// Returns the event that is signalled when all calls of the client have failed.
    pub(crate) fn failed(&self) -> &ManualEvent {
        &self.failed
    }

    /// Returns the fault of all calls of the client.
    pub(crate) fn failure(&self) -> Option<Fault> {
        self.state().failure.clone()
    }

    /// Ends all calls and waits of the client with a fault: background work has failed, or the
    /// server has ended.
    pub(crate) fn fail(&self, fault: Fault) {
        self.state().failure.get_or_insert(fault);
        if let Err(error) = self.failed.set() {
            crate::log::error!(%error, "a client can't be notified of the end of its calls");
        }
    }

    /// Stores the fault of a call.
    pub(crate) fn store_fault(&self, caller: Caller, fault: &[u8]) {
        let mut state = self.state();
        state.faults.retain(|(other, _)| *other != caller);
        if state.faults.len() == FAULTS_MAX {
            state.faults.pop_front();
        }
        state.faults.push_back((caller, fault.to_vec()));
    }

    /// Takes the fault of the last call in this chain of calls by the calling process.
    pub(crate) fn take_fault(&self, logical_thread: Guid) -> Option<Vec<u8>> {
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
        let over = state.tasks.is_empty() && state.client == ClientStatus::Released;
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
