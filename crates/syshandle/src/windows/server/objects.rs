//! Objects as clients call them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use syshandle_com::{Given, Replying, Serve};
use syshandle_os::{BorrowedHandle, ManualEvent, Process};
use syshandle_wire::describe::Interface as Description;
use syshandle_wire::{Fault, Guid, Payload, Status};

use super::activity::Activity;
use super::arguments::Arguments;
use super::context::Context;
use super::incoming::Incoming;
use super::session::Session;
use crate::arrived::Arrived;
use crate::class::AnyInterface;
use crate::life::Life;
use crate::{Error, Result};

/// An object that was made for a client: what the program serves, and whose it is.
pub(crate) struct Object {
    session: Arc<Session>,
    /// The program's object, and the private interface; gone when the client has died.
    object: Arc<Mutex<Option<crate::Object>>>,
    interfaces: Vec<&'static Description>,
}

impl Object {
    /// An object for this client; without one, for whoever calls first.
    pub(crate) fn new(
        object: crate::Object,
        activity: &Arc<Activity>,
        client: Option<u32>,
    ) -> Result<Self> {
        let session = Arc::new(Session::new(activity)?);
        let life = Arc::new(LifeOf { session: session.clone(), asked: OnceLock::new() });
        let object = object.with::<dyn Life, LifeOf>(&life);
        let interfaces = object.descriptions().collect();
        let object = Arc::new(Mutex::new(Some(object)));
        let made = Self { session, object, interfaces };
        if let Some(client) = client {
            made.belongs_to(client);
        }
        Ok(made)
    }

    /// Its interfaces, in the order of their places.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &'static Description> {
        self.interfaces.iter().copied()
    }

    pub(crate) fn place_of(&self, iid: Guid) -> Option<usize> {
        self.interfaces.iter().position(|interface| interface.iid == iid)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Whose it is: when that process dies without letting go, nobody has the object any more.
    fn belongs_to(&self, client: u32) {
        let object = Arc::downgrade(&self.object);
        self.session.belongs_to(client, move || {
            let Some(object) = object.upgrade() else { return };
            drop(object.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
    }

    fn interface(&self, place: usize) -> Option<Arc<dyn AnyInterface>> {
        let iid = self.interfaces.get(place)?.iid;
        self.object.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.interface(iid)
    }
}

impl Serve for Object {
    fn call(&self, call: Given, reply: &mut Replying<'_>) {
        let Given { interface, method, arguments, handles, caller } = call;
        if let Some(client) = caller.process_id {
            self.belongs_to(client);
        }
        let mut keep = |status: Status, body: Payload<'_>, handles: &[BorrowedHandle<'_>]| {
            let body = body.into_vec();
            if status == Status::Fault {
                self.session.keep_fault(caller, &body);
            }
            reply(status, body, handles);
        };
        let Some(interface) = self.interface(interface) else {
            let fault = Fault::Draining;
            return keep(Status::Fault, fault.write().into(), &[]);
        };
        let _hold = self.session.activity().hold();
        let context = Context::new(&self.session, caller);
        let (arguments, handles) = (Arguments(arguments), Arrived(handles));
        let reply = &mut keep;
        interface.dispatch(Incoming { method, arguments, handles, context: &context, reply });
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.session.let_go();
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.interfaces.iter().map(|interface| interface.name).collect();
        f.debug_struct("Object").field("interfaces", &names).finish_non_exhaustive()
    }
}

/// The private interface of an object.
struct LifeOf {
    session: Arc<Session>,
    /// Clients only wait for this process, whatever else they may do to it.
    asked: OnceLock<Process>,
}

impl Life for LifeOf {
    fn attach(&self) -> Result<(Process, ManualEvent)> {
        let process = match self.asked.get() {
            Some(process) => process.try_clone()?,
            None => {
                let process = Process::open_to_watch(std::process::id())?;
                self.asked.get_or_init(|| process).try_clone()?
            }
        };
        Ok((process, self.session.failed().try_clone_to_wait()?))
    }

    fn failure(&self) -> Result<Vec<u8>> {
        Ok(self.session.failure().map(|fault| fault.write()).unwrap_or_default())
    }

    fn fault(&self, logical_thread: Guid) -> Result<Vec<u8>> {
        self.session.fault(logical_thread).ok_or_else(|| Error::failed("there is none"))
    }
}
