//! A call whose method is asynchronous: from the start of its task to its reply.

use std::sync::Arc;

use syshandle_os::BorrowedHandle;
use syshandle_types::{MessageObject, Payload};
use syshandle_wire::{Fault, Status};

use super::connection::calls::{CallId, CallState};
use super::context::{CallContext, CallHost};
use super::object::ClientObject;
use super::reactor::Reactor;
use super::reactor::activity::KeepAlive;
use crate::quota::QuotaGuard;
use crate::server::Context;
use crate::server::incoming_call::AsyncCall;

/// Resources of the server and of the client's quota that a call takes until it is answered.
pub(super) struct CallHold {
    /// The part of the client's quota that the call takes.
    pub(super) quota_guard: Option<QuotaGuard>,
    pub(super) _keep_alive: KeepAlive,
}

/// A call that a task answers. If the task is dropped, the call is answered with a fault.
pub(super) struct ServerAsyncCall {
    reactor: Arc<Reactor>,
    /// `None` when the call has ended.
    connection: Option<Arc<dyn CallHost>>,
    /// The object of the call, until the call has ended.
    object: Option<Arc<ClientObject>>,
    call: CallId,
    state: Arc<CallState>,
    /// The context, until the method takes it.
    context: Option<Context>,
    has_replied: bool,
    hold: Option<CallHold>,
}

impl ServerAsyncCall {
    /// Takes a call over from the thread that started it.
    ///
    /// # Errors
    /// The client has too many asynchronous calls. They take no thread, so they have a limit of
    /// their own.
    pub(super) fn start(
        context: &CallContext,
        object: &Arc<ClientObject>,
        call: CallId,
        hold: &mut Option<CallHold>,
    ) -> Result<Box<dyn AsyncCall>, Fault> {
        if let Some(quota_guard) = hold.as_mut().and_then(|hold| hold.quota_guard.as_mut()) {
            let started = quota_guard.become_async();
            started.map_err(|limit| Fault::Busy { limit: limit.into() })?;
        }
        Ok(Box::new(Self {
            reactor: context.reactor.clone(),
            connection: Some(context.connection.clone()),
            object: Some(object.clone()),
            call,
            state: context.call.clone(),
            context: Some(Context(context.for_task(), None)),
            has_replied: false,
            hold: hold.take(),
        }))
    }
}

impl AsyncCall for ServerAsyncCall {
    fn take_context(&mut self) -> Option<Context> {
        self.context.take()
    }

    fn state(&self) -> Arc<CallState> {
        self.state.clone()
    }

    fn reply(
        &mut self,
        status: Status,
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        objects: &[Option<MessageObject>],
    ) {
        self.has_replied = true;
        self.reactor.end_copy();
        if let Some(connection) = &self.connection {
            connection.reply(&self.reactor, self.call, status, body, handles, objects);
        }
    }
}

impl Drop for ServerAsyncCall {
    fn drop(&mut self) {
        if !self.reactor.is_own() {
            return;
        }
        if !self.has_replied {
            let text = match self.state.is_cancelled() {
                true => "the call was cancelled",
                false => "the runtime of the method has ended",
            };
            let fault = Fault::Failed { text: text.into() };
            self.reply(Status::Fault, fault.write().into(), &[], &[]);
        }
        if let Some(connection) = self.connection.take() {
            self.reactor.loop_of(connection.task_owner().key).count_call();
            // The last references release the objects, and the server must not end before that.
            drop((self.object.take(), connection));
        }
        drop(self.hold.take());
        // The server may have to end now, and this thread is none of its own.
        self.reactor.check_idle();
    }
}
