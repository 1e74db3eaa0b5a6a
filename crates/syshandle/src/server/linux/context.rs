//! The context of a call: its client, its state and the server.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, Credentials, Process, Waitable};
use syshandle_types::{MessageObject, Payload};
use syshandle_wire::{Fault, Status};

use super::argument_quota::ArgumentQuota;
use super::connection::calls::{CallId, CallState};
use super::reactor::Reactor;
use super::session::Session;
use super::task::{Task, TaskOwner, TaskRef, UserWaitable, WaitObject};
use crate::received_handles::KernelProver;
use crate::server::background_task::TaskWork;
use crate::{Error, Result};

/// The connection of a call, as far as the context of the call needs it.
pub(crate) trait CallHost: Debug + Send + Sync {
    fn session(&self) -> &Arc<Session>;

    /// Returns the connection as the owner of background tasks.
    fn task_owner(&self) -> TaskOwner<'_>;

    /// Ends the connection with a fault.
    fn refuse(&self, reactor: &Arc<Reactor>, fault: &Fault);

    /// Takes back the registered handles of the client.
    fn take_back_handles(&self, reactor: &Arc<Reactor>);

    /// Sends the reply of a call, or keeps it as a pending reply until there is room.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "no method is asynchronous"))]
    fn reply(
        &self,
        reactor: &Arc<Reactor>,
        call: CallId,
        status: Status,
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        objects: &[Option<MessageObject>],
    );
}

/// The context of a call.
#[derive(Debug)]
pub(crate) struct CallContext {
    pub(super) reactor: Arc<Reactor>,
    pub(super) connection: Arc<dyn CallHost>,
    pub(super) call: Arc<CallState>,
    pub(super) arguments: ArgumentQuota,
}

/// A clone may be used after the call was answered, so the session then lasts beyond its calls.
impl Clone for CallContext {
    fn clone(&self) -> Self {
        self.connection.session().lasts_from_now_on();
        let Self { reactor, connection, call, arguments } = self;
        let (reactor, connection) = (reactor.clone(), connection.clone());
        Self { reactor, connection, call: call.clone(), arguments: arguments.clone() }
    }
}

impl CallContext {
    /// Returns the context for the task that answers the call. In contrast to a clone, the session
    /// does not last beyond its calls.
    #[cfg(feature = "tokio")]
    pub(super) fn for_task(&self) -> Self {
        let Self { reactor, connection, call, arguments } = self;
        let (reactor, connection) = (reactor.clone(), connection.clone());
        Self { reactor, connection, call: call.clone(), arguments: arguments.clone() }
    }

    pub(crate) fn client(&self) -> Credentials {
        self.connection.session().client
    }

    pub(crate) fn client_process(&self) -> io::Result<Process> {
        let TaskOwner { session, socket, .. } = self.connection.task_owner();
        Ok(session.process(socket)?.try_clone_to_owned()?.into())
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
        self.start((object, timeout), work)
    }

    pub(crate) fn start_timer(&self, delay: Duration, work: TaskWork) -> Result<TaskRef> {
        self.start((None, delay), work)
    }

    fn start(&self, wait: (Option<WaitObject>, Duration), work: TaskWork) -> Result<TaskRef> {
        let arguments = self.arguments.share(&self.connection.session().quota);
        let arguments =
            arguments.map_err(|limit| Error::from_fault(&Fault::Busy { limit: limit.into() }))?;
        Task::start(&self.reactor, self.connection.task_owner(), wait, work, arguments)
    }

    /// Keeps the memory of the decoded arguments in the client's quota.
    pub(crate) fn arguments_decoded(&self, prover: &KernelProver<'_>) {
        if let Some(memory) = prover.take_memory() {
            self.arguments.add_memory(memory);
        }
    }

    /// Returns the settings by which the client's handles are proven.
    pub(crate) fn prover(&self) -> KernelProver<'_> {
        let filesystems = &self.reactor.settings().filesystems;
        KernelProver::new(filesystems, &self.connection.session().quota)
    }

    /// Returns what identifies the server in encoders of messages to the client; 0 if references to
    /// objects of the server are no numbers.
    pub(crate) fn receiver(&self) -> usize {
        match self.connection.session().takes_objects() {
            true => self.reactor.identity(),
            false => 0,
        }
    }

    /// Returns whether a result may open streams.
    pub(crate) fn takes_streams(&self) -> bool {
        self.connection.session().takes_streams()
    }

    /// Counts a call that is refused with this fault.
    pub(crate) fn count_refusal(&self, fault: &Fault) {
        self.reactor.count_refusal(fault);
    }

    /// Takes back the registered handles of the client.
    pub(crate) fn take_back_handles(&self) {
        if self.reactor.is_own() {
            self.connection.take_back_handles(&self.reactor);
        }
    }

    pub(crate) fn abort(&self, text: String) {
        if !self.reactor.is_own() {
            return;
        }
        self.connection.refuse(&self.reactor, &Fault::Aborted { text });
        // The server may have to end now, and this thread may not be one of its own.
        self.reactor.look_around();
    }
}
