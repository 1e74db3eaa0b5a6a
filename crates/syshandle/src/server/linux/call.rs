//! A received call: the data that it needs to run, and its way through the object.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use syshandle_os::BorrowedHandle;
use syshandle_types::Payload;
use syshandle_wire::{Fault, Status};

use super::activity::KeepAlive;
use super::arguments::Arguments;
use super::connection::ServerConnection;
use super::context::CallContext;
use super::doors::InnerDoor;
use super::reactor::Reactor;
use super::work_item::UserCode;
use crate::door;
use crate::guard::guard;
use crate::method_ref::MethodRef;
use crate::quota::{QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::server::Context;
use crate::server::incoming_call::{IncomingCall, fault};
use crate::sync::atomic::AtomicBool;
use crate::sync::now;

/// A call to be run.
pub(crate) struct ServerCall {
    pub(super) connection: Arc<ServerConnection>,
    pub(super) state: Arc<CallState>,
    pub(super) call: u32,
    pub(super) method: u32,
    pub(super) arguments: Arguments,
    pub(super) handles: ReceivedHandles,
    pub(super) handles_lost: bool,
    /// The part of the client's quota that the call takes.
    pub(super) quota_guard: Option<QuotaGuard>,
    pub(super) _keep_alive: KeepAlive,
}

impl ServerCall {
    /// Runs the call on this thread and replies. Returns when the result was available.
    pub(crate) fn run(self, reactor: &Arc<Reactor>) -> Instant {
        let mut replied = None;
        self.answer(reactor, &mut replied);
        replied.unwrap_or_else(now)
    }

    /// Takes a part of the client's quota; returns `false` if the client has reached a limit.
    #[inline]
    pub(super) fn start(&mut self) -> bool {
        let quota_guard = self.connection.session.quota.take(Resource::Call, self.handles.len());
        self.quota_guard = quota_guard.ok();
        self.quota_guard.is_some()
    }

    /// Counts a call that has waited among the running methods of the client; returns `false` if it
    /// can't run yet.
    pub(super) fn start_after_wait(&mut self) -> bool {
        self.quota_guard.as_mut().is_none_or(QuotaGuard::start)
    }

    /// Has a worker thread run the call. Refuses the call if too many calls of the client wait.
    pub(super) fn run_beside(mut self, reactor: &Arc<Reactor>) {
        let quota = &self.connection.session.quota;
        match quota.take(Resource::WaitingCall, self.handles.len()) {
            Ok(quota_guard) => {
                self.quota_guard = Some(quota_guard);
                reactor.workers.add_work(reactor, UserCode::Call(self).into());
            }
            Err(limit) => self.refuse(reactor, &Fault::Busy { limit: limit.into() }),
        }
    }

    /// Replies with a fault, without running the call.
    pub(super) fn refuse(self, reactor: &Arc<Reactor>, fault: &Fault) {
        reactor.count_refusal(fault);
        let body = fault.write().into();
        self.connection.reply(reactor, self.call, Status::Fault, body, &[]);
    }

    fn answer(self, reactor: &Arc<Reactor>, replied: &mut Option<Instant>) {
        let Self {
            connection,
            state,
            call,
            method,
            arguments,
            handles,
            handles_lost,
            quota_guard: _quota_guard,
            _keep_alive,
            ..
        } = self;
        let context =
            Context(CallContext { reactor: reactor.clone(), connection, call: state }, None);
        let connection = &context.0.connection;
        let mut reply = |status, body: Payload<'_>, handles: &[BorrowedHandle<'_>]| {
            reactor.end_copy();
            *replied = Some(now());
            connection.reply(reactor, call, status, body, handles);
        };
        let refusal = match () {
            () if handles_lost => Some(Fault::HandlesLost),
            () if reactor.is_draining() => Some(Fault::Draining),
            () if context.0.call.is_cancelled() => Some(Fault::Expired),
            () => match arguments {
                Arguments::PastLimit(limit) => Some(Fault::Busy { limit: limit.into() }),
                _ => None,
            },
        };
        if let Some(refusal) = refusal {
            reactor.count_refusal(&refusal);
            return fault(&mut reply, &refusal);
        }
        if method == door::METHOD {
            let quota = &connection.session.quota;
            let door = |object| InnerDoor::open(reactor, quota, object);
            return match connection.kept.object.get().map(door) {
                Some(Ok(outer)) => reply(Status::Done, vec![0, 0].into(), &[outer.as_fd()]),
                Some(Err(error)) => fault(&mut reply, &Fault::Busy { limit: error.to_string() }),
                None => fault(&mut reply, &Fault::NoSuchMethod(method)),
            };
        }
        let Some(interface) = connection.kept.interface.get() else {
            return fault(&mut reply, &Fault::NoSuchMethod(method));
        };
        let _entered = crate::log::debug_span!(
            "serve",
            method = %MethodRef { interface: interface.description(), method },
            pid = connection.session.client.pid
        );
        crate::log::trace!(handles = handles.len(), "running");
        let event_loop = reactor.loop_of(connection.key());
        let run = guard(|| {
            interface.dispatch(IncomingCall {
                method,
                arguments,
                handles,
                context: &context,
                reply: &mut reply,
            });
        });
        event_loop.calls.fetch_add(1, Ordering::Relaxed);
        let fault = match run {
            _ if replied.is_some() => {
                if let Err(text) = run {
                    // The reply was sent, so only the destructor of the result can have panicked.
                    crate::log::error!(panic = %text, "a destructor of the program panicked");
                }
                return;
            }
            Ok(()) => Fault::Failed { text: "the interface did not answer".into() },
            Err(text) => Fault::Panicked { text },
        };
        reactor.end_copy();
        connection.reply(reactor, call, Status::Fault, fault.write().into(), &[]);
    }
}

/// The state of a call, shared with its [`Context`].
#[derive(Debug)]
pub(crate) struct CallState {
    pub(super) began: Instant,
    pub(crate) deadline: Instant,
    pub(super) cancelled: AtomicBool,
}

impl CallState {
    /// Returns the state of a new call. Reuses the allocation of the last one, unless a context
    /// still refers to it.
    pub(super) fn start(
        last: &mut Option<Arc<Self>>,
        began: Instant,
        timeout: Duration,
    ) -> Arc<Self> {
        let deadline = began + timeout;
        let new = || Self { began, deadline, cancelled: AtomicBool::new(false) };
        let mut call = last.take().unwrap_or_else(|| Arc::new(new()));
        match Arc::get_mut(&mut call) {
            Some(free) => *free = new(),
            None => call = Arc::new(new()),
        }
        *last = Some(call.clone());
        call
    }

    /// Returns whether the client no longer waits for the result.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || now() >= self.deadline
    }
}
