//! The context of a call: its client, and the server.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_com::Caller;
use syshandle_os::{Credentials, Event, Process, Waitable};
use syshandle_wire::Fault;

use super::activity::Activity;
use super::session::Session;
use super::task::{Task, TaskRef};
use crate::Result;
use crate::limits::CALL_TIMEOUT;
use crate::received_handles::KernelProver;
use crate::server::background_task::TaskWork;

/// The context of a call.
#[derive(Clone, Debug)]
pub(crate) struct CallContext {
    session: Arc<Session>,
    caller: Caller,
    began: Instant,
}

impl CallContext {
    pub(super) fn new(session: &Arc<Session>, caller: Caller) -> Self {
        Self { session: session.clone(), caller, began: Instant::now() }
    }

    pub(crate) fn client(&self) -> Credentials {
        let own = std::process::id;
        Credentials::of_process(self.caller.process_id.unwrap_or_else(own))
    }

    pub(crate) fn client_process(&self) -> io::Result<Process> {
        self.session.process()
    }

    /// Returns 0, because COM passes references itself.
    pub(crate) fn receiver(&self) -> usize {
        0
    }

    /// Streams have no form in COM.
    pub(crate) fn takes_streams(&self) -> bool {
        false
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.began + CALL_TIMEOUT
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.session.is_cancelled()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.session.activity().is_stopping()
    }

    /// Counts a call that is refused with this fault.
    pub(crate) fn count_refusal(&self, fault: &Fault) {
        self.session.activity().count_refusal(fault);
    }

    pub(crate) fn start_task(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: TaskWork,
    ) -> Result<TaskRef> {
        Task::start(&self.session, Box::new(object), timeout, work)
    }

    pub(crate) fn start_timer(&self, delay: Duration, work: TaskWork) -> Result<TaskRef> {
        // The system's thread pool needs an object to wait for. This event is never signalled.
        let never = Event::new()?;
        Task::start(&self.session, Box::new(never), delay, work)
    }

    /// Returns the verifier of received handles.
    pub(crate) fn prover(&self) -> KernelProver {
        KernelProver
    }

    /// Does nothing, because Windows has no quotas.
    pub(crate) fn arguments_decoded(&self, _prover: &KernelProver) {}

    pub(crate) fn abort(&self, text: String) {
        self.session.fail(Fault::Aborted { text });
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        self.session.activity()
    }
}
