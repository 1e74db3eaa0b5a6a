//! Objects in the form in which clients call them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use syshandle_com::{RegisteredInterface, ReplySender, Serve, ServedObject};
use syshandle_os::{BorrowedHandle, ManualEvent, Process};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{FieldPath, Guid, Payload};
use syshandle_wire::{Fault, Status};

use super::activity::{Activity, ActivityKind, KeepAlive};
use super::arguments::Arguments;
use super::context::CallContext;
use super::holders::Holders;
use super::session::{HeldObject, Session};
use crate::call_target::{CallTarget, ComCall, ComTarget, ReplyHandler};
use crate::method_ref::MethodRef;
use crate::received_handles::ReceivedHandles;
use crate::received_reference;
use crate::server::Context;
use crate::server::incoming_call::IncomingCall;
use crate::server_status::ServerStatus;
use crate::stand_in;
use crate::untyped_object::Object;
use crate::withdrawal::Withdrawal;
use crate::{Error, ErrorKind, Result};

/// Object of one client: the program's object and the client's session.
pub(crate) struct ComObject {
    session: Arc<Session>,
    program: Arc<ProgramObject>,
    /// The forms of the program's object for all clients, so that its owner can withdraw it.
    holders: Arc<Holders>,
    /// Private interface.
    status: Object,
    /// Interfaces of the program's object and the private interface, in the order of their indices.
    interfaces: Vec<&'static Description>,
}

impl ComObject {
    /// Makes an object for a client. Without a process id, the first process that calls becomes the
    /// client.
    pub(crate) fn new(
        program: Object,
        activity: &Arc<Activity>,
        client: Option<u32>,
    ) -> Result<Self> {
        Self::with_holders(program, activity, client, Holders::new())
    }

    fn with_holders(
        program: Object,
        activity: &Arc<Activity>,
        client: Option<u32>,
        holders: Arc<Holders>,
    ) -> Result<Self> {
        let descriptions: Vec<_> = program.descriptions().collect();
        let program = Arc::new(ProgramObject(Mutex::new(Some(program))));
        holders.add(&program);
        let session = Session::new(program.clone(), activity)?;
        let status =
            Arc::new(ServerStatusObject { session: session.clone(), process: OnceLock::new() });
        let status = Object::new().with::<dyn ServerStatus, ServerStatusObject>(&status);
        let interfaces = descriptions.into_iter().chain(status.descriptions()).collect();
        if let Some(client) = client {
            session.belongs_to(client);
        }
        Ok(Self { session, program, holders, status, interfaces })
    }

    /// Makes an object with its own session for another client of the program's object. So the
    /// actions and the death of one client don't affect the other.
    pub(crate) fn for_another_client(&self) -> Result<Self> {
        let no_object = || Error::detected(ErrorKind::Disconnected, "the object no longer exists");
        let program = self.program.get().ok_or_else(no_object)?;
        Self::with_holders(program, self.session.activity(), None, self.holders.clone())
    }

    /// Returns the value that withdraws the program's object.
    pub(crate) fn withdrawal(&self) -> Withdrawal {
        let holders: Weak<Holders> = Arc::downgrade(&self.holders);
        Withdrawal::new(holders)
    }

    /// Converts to an object that COM serves. Must run on a thread of the apartment.
    pub(crate) fn into_served(self) -> Result<ServedObject> {
        let failed =
            |error| Error::detected(ErrorKind::System, "COM can't serve the object").because(error);
        let registered = self
            .interfaces
            .iter()
            .copied()
            .map(RegisteredInterface::of)
            .collect::<Result<Vec<_>, _>>();
        let target = Arc::new(ComTarget(Arc::new(self)));
        ServedObject::new(&registered.map_err(failed)?, target).map_err(failed)
    }

    /// Counts a call of the program's object, unless the call is refused with the returned fault.
    fn admit(&self) -> Result<KeepAlive, Fault> {
        let activity = self.session.activity();
        if let Some(failure) = self.session.failure() {
            return Err(failure);
        }
        if activity.is_stopping() {
            activity.count_refusal(&Fault::Draining);
            return Err(Fault::Draining);
        }
        Ok(activity.keep_alive(ActivityKind::Call))
    }
}

impl CallTarget for ComObject {
    fn interfaces(&self) -> &[&'static Description] {
        &self.interfaces
    }

    fn serve_another_client(&self) -> Result<ServedObject> {
        self.for_another_client()?.into_served()
    }

    fn failed(&self) -> &ManualEvent {
        self.session.failed()
    }

    fn failure(&self) -> Option<Fault> {
        self.session.failure()
    }

    fn serve(&self, call: ComCall, reply: &mut ReplyHandler<'_>) {
        let ComCall { interface, method, arguments, handles, caller } = call;
        let iid = self.interfaces.get(interface).map(|interface| interface.iid);
        let status = iid.and_then(|iid| self.status.interface(iid));
        let is_status = status.is_some();
        let mut keep = |status: Status, body: Payload<'_>, handles: &[BorrowedHandle<'_>]| {
            // `Context::abort` also replaces the results of running methods.
            let abort = self.session.failure().filter(Fault::may_have_run);
            if let (false, Some(fault)) = (is_status, abort) {
                let body = fault.write();
                self.session.store_fault(caller, &body);
                return reply(Status::Fault, body, &[]);
            }
            let body = body.into_vec();
            if status == Status::Fault {
                self.session.store_fault(caller, &body);
            }
            reply(status, body, handles);
        };
        let object = || iid.and_then(|iid| self.program.get()?.interface(iid));
        let Some(interface) = status.or_else(object) else {
            let fault = match self.holders.is_withdrawn() {
                true => Fault::Withdrawn,
                false => Fault::Draining,
            };
            return keep(Status::Fault, fault.write().into(), &[]);
        };
        // The runtime's own calls don't count, and are served until the process ends.
        let _keep_alive = match is_status {
            true => None,
            false => match self.admit() {
                Ok(keep_alive) => Some(keep_alive),
                Err(fault) => return keep(Status::Fault, fault.write().into(), &[]),
            },
        };
        let method = MethodRef { interface: interface.description(), method };
        let _entered = crate::log::debug_span!(
            "serve",
            method = %method,
            pid = caller.process_id.unwrap_or_else(std::process::id)
        );
        let context = Context(CallContext::new(&self.session, caller), None);
        let arguments = Arguments(arguments);
        let handed = stand_in::hand_over(handles, |handles| {
            let handles = ReceivedHandles(handles);
            let reply =
                &mut |status, body: Payload<'_>, handles: &[BorrowedHandle<'_>], _: &[_]| {
                    keep(status, body, handles);
                };
            interface.dispatch(IncomingCall {
                method,
                arguments,
                handles,
                context: &context,
                reply,
            });
        });
        if let Err(error) = handed {
            crate::log::warn!(%error, "the references of a call couldn't be received");
            keep(Status::Fault, Fault::HandlesLost.write().into(), &[]);
        }
    }
}

impl Serve for ComObject {
    fn call(&self, call: syshandle_com::IncomingCall, reply: &mut ReplySender<'_>) {
        let syshandle_com::IncomingCall { interface, method, arguments, handles, caller } = call;
        if let Some(client) = caller.process_id {
            self.session.belongs_to(client);
        }
        let handles = match handles.into_iter().map(received_reference::receive).collect() {
            Ok(handles) => handles,
            Err(error) => {
                let text = format!("a reference of the call can't be used: {error:#}");
                let fault =
                    Fault::Malformed { parameter: None, path: FieldPath::default(), text }.write();
                self.session.store_fault(caller, &fault);
                return reply(Status::Fault, fault, Vec::new());
            }
        };
        let call = ComCall { interface, method, arguments, handles, caller };
        self.serve(call, &mut |status, body, handles| match handles
            .iter()
            .map(stand_in::pass)
            .collect()
        {
            Ok(lent) => reply(status, body, lent),
            Err(error) => {
                let fault = Fault::Unsendable { text: format!("{error:#}") }.write();
                self.session.store_fault(caller, &fault);
                reply(Status::Fault, fault, Vec::new());
            }
        });
    }
}

impl Drop for ComObject {
    fn drop(&mut self) {
        self.session.release();
    }
}

impl std::fmt::Debug for ComObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.interfaces.iter().map(|interface| interface.name).collect();
        f.debug_struct("ComObject").field("interfaces", &names).finish_non_exhaustive()
    }
}

/// The program's object; `None` once the client has released it or has died, its owner has withdrawn
/// it, or the server has ended.
#[derive(Debug)]
pub(super) struct ProgramObject(Mutex<Option<Object>>);

impl ProgramObject {
    fn get(&self) -> Option<Object> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HeldObject for ProgramObject {
    fn release(&self) {
        let object = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropped after the lock is released, because the destructor is user code.
        drop(object);
    }
}

/// Private interface of an object.
struct ServerStatusObject {
    session: Arc<Session>,
    /// Handle to this process for clients, created on first use. It only permits waiting.
    process: OnceLock<Process>,
}

impl ServerStatus for ServerStatusObject {
    fn attach(&self) -> Result<(Process, ManualEvent)> {
        let process = match self.process.get() {
            Some(process) => process.try_clone()?,
            None => {
                let process = Process::open_to_watch(std::process::id())?;
                self.process.get_or_init(|| process).try_clone()?
            }
        };
        Ok((process, self.session.failed().try_clone_to_wait()?))
    }

    fn failure(&self) -> Result<Vec<u8>> {
        Ok(self.session.failure().map(|fault| fault.write()).unwrap_or_default())
    }

    fn fault(&self, logical_thread: Guid) -> Result<Vec<u8>> {
        self.session.take_fault(logical_thread).ok_or_else(|| Error::failed("there is none"))
    }
}
