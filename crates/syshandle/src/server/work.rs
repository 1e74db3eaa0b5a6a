//! A call on the server: what it needs to run, and its way through the object.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use syshandle_os::BorrowedHandle;
use syshandle_wire::{Fault, Payload, Status};

use super::activity::Hold;
use super::arguments::Arguments;
use super::connection::Connection;
use super::context::Context;
use super::doors::InnerDoor;
use super::incoming::{Incoming, fault, panic_text};
use super::reactor::Reactor;
use super::shares::Part;
use crate::arrived::Arrived;
use crate::door;
use crate::sync::atomic::AtomicBool;
use crate::sync::now;

/// A call to run.
pub(crate) struct Work {
    pub(super) connection: Arc<Connection>,
    pub(super) state: Arc<CallState>,
    pub(super) began: Instant,
    pub(super) call: u32,
    pub(super) method: u32,
    pub(super) arguments: Arguments,
    pub(super) handles: Arrived,
    pub(super) handles_lost: bool,
    pub(super) _hold: Hold,
}

impl Work {
    /// Runs the call, on this thread, and replies; returns when the result was there.
    pub(crate) fn run(self, reactor: &Arc<Reactor>) -> Instant {
        let mut replied = None;
        self.answer(reactor, &mut replied);
        replied.unwrap_or_else(now)
    }

    fn answer(self, reactor: &Arc<Reactor>, replied: &mut Option<Instant>) {
        let Self {
            connection, state, call, method, arguments, handles, handles_lost, _hold, ..
        } = self;
        let context = Context { reactor: reactor.clone(), connection, call: state };
        let connection = &context.connection;
        let mut reply = |status, body: Payload<'_>, handles: &[BorrowedHandle<'_>]| {
            *replied = Some(now());
            connection.reply(reactor, call, status, body, handles);
        };
        let refusal = match () {
            () if handles_lost => Some(Fault::HandlesLost),
            () if reactor.is_draining() => Some(Fault::Draining),
            () if context.call.is_cancelled() => Some(Fault::Expired),
            () => None,
        };
        if let Some(refusal) = refusal {
            return fault(&mut reply, &refusal);
        }
        let share = &connection.session.share;
        let _taken = match share.take(Part::Call, handles.len()) {
            Ok(taken) => taken,
            Err(limit) => return fault(&mut reply, &Fault::Busy { limit: limit.into() }),
        };
        if method == door::METHOD {
            let door = |object| InnerDoor::open(reactor, share, object);
            return match connection.object.get().map(door) {
                Some(Ok(outer)) => reply(Status::Done, vec![0, 0].into(), &[outer.as_fd()]),
                Some(Err(error)) => fault(&mut reply, &Fault::Busy { limit: error.to_string() }),
                None => fault(&mut reply, &Fault::NoSuchMethod(method)),
            };
        }
        let Some(interface) = connection.interface.get() else {
            return fault(&mut reply, &Fault::NoSuchMethod(method));
        };
        let span = tracing::debug_span!(
            "serve",
            interface = interface.description().name,
            method,
            client = connection.session.client.pid
        );
        let _entered = span.enter();
        tracing::trace!(handles = handles.len(), "running");
        let run = catch_unwind(AssertUnwindSafe(|| {
            interface.dispatch(Incoming {
                method,
                arguments,
                handles,
                context: &context,
                reply: &mut reply,
            });
        }));
        if let Err(panic) = run {
            fault(&mut reply, &Fault::Panicked { text: panic_text(&*panic) });
        }
        if replied.is_none() {
            let text = "the interface did not answer".into();
            let body = Fault::Failed { text }.write();
            connection.reply(reactor, call, Status::Fault, body.into(), &[]);
        }
    }
}

/// A call that runs.
#[derive(Debug)]
pub(crate) struct CallState {
    pub(crate) deadline: Instant,
    pub(super) cancelled: AtomicBool,
}

impl CallState {
    /// That of a new call: the last one, unless somebody still has it.
    pub(super) fn start(last: &mut Option<Arc<Self>>, deadline: Instant) -> Arc<Self> {
        let new = || Self { deadline, cancelled: AtomicBool::new(false) };
        let mut call = last.take().unwrap_or_else(|| Arc::new(new()));
        match Arc::get_mut(&mut call) {
            Some(free) => *free = new(),
            None => call = Arc::new(new()),
        }
        *last = Some(call.clone());
        call
    }

    /// Whether nobody waits for the result any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || now() >= self.deadline
    }
}
