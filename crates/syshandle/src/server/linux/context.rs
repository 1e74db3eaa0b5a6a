//! The context of a call: its client, its state and the server.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_os::{Credentials, Process, Waitable};
use syshandle_wire::Fault;

use super::connection::ServerConnection;
use super::connection::calls::CallState;
use super::reactor::Reactor;
use super::served_object::ServedObject;
use super::task::{Task, TaskRef, UserWaitable};
use crate::received_handles::KernelProver;
use crate::server::background_task::TaskWork;
use crate::setup::other_process;
use crate::untyped_object::Object;
use crate::{Error, ErrorKind, Result};

/// The context of a call.
#[derive(Debug)]
pub(crate) struct CallContext {
    pub(super) reactor: Arc<Reactor>,
    pub(super) connection: Arc<ServerConnection>,
    pub(super) call: Arc<CallState>,
}

/// A clone may be used after the call was answered, so the session then lasts beyond its calls.
impl Clone for CallContext {
    fn clone(&self) -> Self {
        self.connection.session().lasts_from_now_on();
        let Self { reactor, connection, call } = self;
        Self { reactor: reactor.clone(), connection: connection.clone(), call: call.clone() }
    }
}

impl CallContext {
    pub(crate) fn client(&self) -> Credentials {
        self.connection.session().client
    }

    pub(crate) fn client_process(&self) -> io::Result<Process> {
        self.connection.client_process().map(Process::from)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.call.deadline()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.call.is_cancelled() || self.connection.session().is_gone()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.reactor.is_draining()
    }

    pub(crate) fn start_task(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: TaskWork,
    ) -> Result<TaskRef> {
        let object = Some(Box::new(UserWaitable::new(object)) as _);
        Task::start(&self.reactor, self.connection.task_owner(), object, timeout, work)
    }

    pub(crate) fn start_timer(&self, delay: Duration, work: TaskWork) -> Result<TaskRef> {
        Task::start(&self.reactor, self.connection.task_owner(), None, delay, work)
    }

    /// Returns the settings by which the client's handles are proven.
    pub(crate) fn prover(&self) -> KernelProver<'_> {
        let filesystems = &self.reactor.settings().filesystems;
        KernelProver::new(filesystems, &self.connection.session().quota)
    }

    /// Counts a call that is refused with this fault.
    pub(crate) fn count_refusal(&self, fault: &Fault) {
        self.reactor.count_refusal(fault);
    }

    pub(crate) fn abort(&self, text: String) {
        if !self.reactor.is_own() {
            return;
        }
        self.connection.refuse(&self.reactor, &Fault::Aborted { text });
        // The server may have to end now, and this thread may not be one of its own.
        self.reactor.look_around();
    }

    /// Serves an object from this server, counted in the client's quota.
    pub(crate) fn serve(&self, object: Object) -> Result<ServedObject> {
        if !self.reactor.is_own() {
            return Err(other_process("context"));
        }
        ServedObject::new(&self.reactor, &self.connection.session().quota, object).map_err(
            |error| {
                let kind = match error.kind() {
                    io::ErrorKind::QuotaExceeded => ErrorKind::Busy,
                    _ => ErrorKind::System,
                };
                Error::detected(kind, "the object can't be served").because(error)
            },
        )
    }
}
