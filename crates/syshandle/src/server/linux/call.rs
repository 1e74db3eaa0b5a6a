//! A received call: the data that it needs to run, and its way through the object.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use syshandle_os::BorrowedHandle;
use syshandle_types::{Decode, DecodeError, Guid, MessageObject, Payload};
use syshandle_wire::{Fault, Status};

use super::argument_quota::ArgumentQuota;
use super::arguments::{Arguments, MissingObject};
#[cfg(feature = "tokio")]
use super::async_call::{CallHold, ServerAsyncCall};
use super::connection::ServerConnection;
use super::connection::calls::{CallId, CallState};
use super::context::{CallContext, CallHost};
use super::doors::{self, InnerDoor};
use super::object::ClientObject;
use super::reactor::activity::KeepAlive;
use super::reactor::event_loop::LoopContext;
use super::reactor::method_times::MethodId;
use super::reactor::{Reactor, WorkItem};
use crate::guard::guard;
use crate::method_ref::MethodRef;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::server::Context;
use crate::server::incoming_call::{IncomingCall, fault};
use crate::sync::now;
use crate::{descriptions, door, one_way};

/// A call to be run.
pub(crate) struct ServerCall {
    connection: Arc<ServerConnection>,
    object: Arc<ClientObject>,
    state: Arc<CallState>,
    call: CallId,
    arguments: Arguments,
    handles: ReceivedHandles,
    handles_lost: bool,
    /// The part of the client's quota that the call takes.
    quota_guard: Option<QuotaGuard>,
    _keep_alive: KeepAlive,
}

impl ServerCall {
    #[inline]
    pub(super) fn new(
        (connection, object, state): (Arc<ServerConnection>, Arc<ClientObject>, Arc<CallState>),
        call: CallId,
        arguments: Arguments,
        (handles, handles_lost): (ReceivedHandles, bool),
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            connection,
            object,
            state,
            call,
            arguments,
            handles,
            handles_lost,
            quota_guard: None,
            _keep_alive: keep_alive,
        }
    }

    /// Returns the object of the call.
    pub(super) fn object(&self) -> Arc<ClientObject> {
        self.object.clone()
    }

    pub(super) fn method(&self) -> u32 {
        self.call.method()
    }

    /// Returns when the call was received.
    pub(super) fn began(&self) -> Instant {
        self.state.began()
    }

    /// Runs the call on this thread and replies. Returns when the result was available.
    pub(super) fn run_now(self, reactor: &Arc<Reactor>) -> Instant {
        let mut replied = None;
        self.answer(reactor, &mut replied);
        replied.unwrap_or_else(now)
    }

    /// Takes a part of the client's quota; returns `false` if the client has reached a limit.
    #[inline]
    pub(super) fn count(&mut self) -> bool {
        let quota_guard = self.connection.session().quota.take(Resource::Call, self.handles.len());
        self.quota_guard = quota_guard.ok();
        self.quota_guard.is_some()
    }

    /// Has a worker thread run the call. Refuses the call if too many calls of the client wait.
    pub(super) fn run_beside(mut self, reactor: &Arc<Reactor>) {
        match self.count_waiting() {
            Ok(()) => reactor.run_beside(Box::new(self)),
            Err(fault) => self.reply_fault(reactor, &fault),
        }
    }

    /// Takes a part of the client's quota for a call that waits. Returns the fault for a client that
    /// has reached a limit.
    pub(super) fn count_waiting(&mut self) -> Result<(), Fault> {
        let quota = &self.connection.session().quota;
        let quota_guard = quota.take(Resource::WaitingCall, self.handles.len());
        self.quota_guard = Some(quota_guard.map_err(|limit| Fault::Busy { limit: limit.into() })?);
        Ok(())
    }

    /// Replies with a fault, without running the call.
    pub(super) fn reply_fault(&self, reactor: &Arc<Reactor>, fault: &Fault) {
        reactor.count_refusal(fault);
        let body = fault.write().into();
        self.connection.reply(reactor, self.call, Status::Fault, body, &[]);
    }

    fn answer(self, reactor: &Arc<Reactor>, replied: &mut Option<Instant>) {
        let Self {
            connection,
            object,
            state,
            call,
            arguments,
            handles,
            handles_lost,
            mut quota_guard,
            _keep_alive: keep_alive,
            ..
        } = self;
        let method = call.method();
        let of_handles = quota_guard.as_mut().and_then(QuotaGuard::split_descriptors);
        #[cfg(not(feature = "tokio"))]
        let _hold = (quota_guard, keep_alive);
        #[cfg(feature = "tokio")]
        let mut hold = Some(CallHold { quota_guard, _keep_alive: keep_alive });
        // Dropped before `hold`: the last reference releases the object, and the server must
        // not end before that.
        let (host, connection) = (connection.clone(), connection);
        let context = Context(
            CallContext {
                reactor: reactor.clone(),
                connection: host,
                call: state,
                arguments: ArgumentQuota::new(of_handles, arguments.len()),
            },
            None,
        );
        let mut reply = |status,
                         body: Payload<'_>,
                         handles: &[BorrowedHandle<'_>],
                         objects: &[Option<MessageObject>]| {
            reactor.end_copy();
            *replied = Some(now());
            connection.reply_with(reactor, (call, status), body, handles, objects);
        };
        let is_flush = method == one_way::FLUSH && connection.takes_one_way_calls();
        let refusal = match () {
            // By the order of calls, its reply shows that earlier one-way calls have ended.
            () if is_flush => None,
            () if handles_lost => Some(Fault::HandlesLost),
            // The client of a one-way call may have disconnected in order, so it could not learn
            // that the call is refused.
            () if reactor.is_draining() && !call.is_one_way() => Some(Fault::Draining),
            () if connection.object().is_withdrawn() || object.is_withdrawn() => {
                Some(Fault::Withdrawn)
            }
            () if context.0.call.is_cancelled() => Some(Fault::Expired),
            () => match arguments {
                Arguments::PastLimit(limit) => Some(Fault::Busy { limit: limit.into() }),
                Arguments::NoObject(MissingObject::Withdrawn) => Some(Fault::Withdrawn),
                Arguments::NoObject(MissingObject::SlotGone) => Some(Fault::SlotGone),
                Arguments::NoObject(MissingObject::Unknown(number)) => {
                    Some(Fault::NoObject { text: format!("the client has no object {number}") })
                }
                _ => None,
            },
        };
        if let Some(refusal) = refusal {
            reactor.count_refusal(&refusal);
            return fault(&mut reply, &refusal);
        }
        if is_flush {
            return reply(Status::Done, vec![0].into(), &[], &[]);
        }
        if method == door::METHOD {
            let quota = &connection.session().quota;
            let door = |it| InnerDoor::open(reactor, quota, (it, object.holders()));
            return match object.object().map(door) {
                Some(Ok(outer)) => reply(Status::Done, vec![0, 0].into(), &[outer.as_fd()], &[]),
                Some(Err(error)) => fault(&mut reply, &Fault::Busy { limit: error.to_string() }),
                None => fault(&mut reply, &Fault::NoSuchMethod(method)),
            };
        }
        if method == descriptions::METHOD {
            reactor.loop_of(connection.key()).count_call();
            return match described(&object, &context, &arguments, handles) {
                Ok(descriptions) => reply(Status::Done, descriptions, &[], &[]),
                Err(refusal) => fault(&mut reply, &refusal),
            };
        }
        if method == door::CAST && context.0.receiver() != 0 {
            let iid = arguments.decode(handles.into_handles(), &context.0.prover(), |mut input| {
                let iid = Guid::decode(&mut input)?;
                input.finish().map(|()| iid)
            });
            let cast = |iid| {
                let object = (object.object()?, object.holders());
                doors::pass(reactor, object, iid, context.0.receiver())
            };
            return match iid.map(|iid| cast(iid).ok_or(Fault::NoSuchInterface(iid))) {
                Ok(Ok(object)) => reply(Status::Done, vec![0, 0].into(), &[], &[Some(object)]),
                Ok(Err(refusal)) => fault(&mut reply, &refusal),
                Err(error) => fault(&mut reply, &error.into()),
            };
        }
        let Some(interface) = object.interface() else {
            return fault(&mut reply, &Fault::NoSuchMethod(method));
        };
        let method = MethodRef { interface: interface.description(), method };
        let _entered = crate::log::debug_span!(
            "serve",
            method = %method,
            pid = connection.session().client.pid
        );
        crate::log::trace!(handles = handles.len(), "running");
        let event_loop = reactor.loop_of(connection.key());
        #[cfg(feature = "tokio")]
        let mut later = || ServerAsyncCall::start(&context.0, &object, call, &mut hold);
        let run = guard(|| {
            interface.dispatch(IncomingCall {
                method,
                arguments,
                handles,
                context: &context,
                reply: &mut reply,
                #[cfg(feature = "tokio")]
                later: &mut later,
            });
        });
        #[cfg(feature = "tokio")]
        if hold.is_none() {
            // The task of the method answers.
            return;
        }
        event_loop.count_call();
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

/// Returns the descriptions that a call of [`descriptions::METHOD`] requests: that of the interface
/// of the call, or those of all interfaces of its object.
fn described(
    object: &ClientObject,
    context: &Context,
    arguments: &Arguments,
    handles: ReceivedHandles,
) -> Result<Payload<'static>, Fault> {
    let (Some(interface), Some(all)) = (object.interface(), object.object()) else {
        return Err(Fault::NoSuchMethod(descriptions::METHOD));
    };
    let options = arguments.decode(handles.into_handles(), &context.0.prover(), |mut input| {
        let options: u32 = input.parameter(0, None)?;
        input.finish()?;
        Ok(options)
    });
    match options.map_err(|error: DecodeError| Fault::from(error))? & descriptions::ALL_INTERFACES {
        0 => descriptions::encode([interface.description()].into_iter()),
        _ => descriptions::encode(all.descriptions()),
    }
}

impl WorkItem for ServerCall {
    fn quota(&self) -> &Arc<Quota> {
        &self.connection.session().quota
    }

    fn start(&mut self) -> bool {
        self.quota_guard.as_mut().is_none_or(QuotaGuard::start)
    }

    fn run(self: Box<Self>, LoopContext { reactor, slot }: LoopContext<'_>) {
        let (object, method) = (self.object(), self.method());
        let id = object.methods().map(|methods| methods.method_id(method));
        slot.set_method(id.unwrap_or_default());
        let began = now();
        let took = self.run_now(reactor) - began;
        if let Some(methods) = object.methods() {
            methods.learn(method, took);
        }
        slot.set_method(MethodId::default());
    }

    fn refuse(self: Box<Self>, reactor: &Arc<Reactor>) -> Option<Box<dyn WorkItem>> {
        self.reply_fault(reactor, &Fault::Draining);
        None
    }
}
