//! Objects of this process, called like objects of other processes.

use std::sync::{Arc, Mutex, PoisonError};

use syshandle_com::{Caller, InterfacePointer, RegisteredInterface};
use syshandle_os::Waitable;
use syshandle_types::Guid;
use syshandle_types::describe::Interface as Description;

use super::ComReply;
use super::calls::{self, Deadline, WaitError};
use crate::call_target::{CallTarget, ComCall};
use crate::class::Interface;
use crate::server_status::ServerStatus;
use crate::stand_in::HandleOrObject;
use crate::untyped_object::no_interface;
use crate::withdrawal::Withdrawal;
use crate::{Error, ErrorKind, Result};

/// Reference to an object of this process, by one of its interfaces.
#[derive(Debug)]
pub(crate) struct LocalObject {
    object: Arc<dyn CallTarget>,
    interface: usize,
    /// Withdraws the object, if this is the reference of its owner.
    withdrawal: Option<Withdrawal>,
}

impl LocalObject {
    pub(crate) fn new(object: Arc<dyn CallTarget>, interface: &Description) -> Result<Self> {
        let mut interfaces = object.interfaces().iter();
        match interfaces.position(|one| one.iid == interface.iid) {
            Some(interface) => Ok(Self { object, interface, withdrawal: None }),
            None => {
                let is_public = |one: &&Description| one.iid != <dyn ServerStatus>::DESCRIPTION.iid;
                let interfaces = object.interfaces().iter().copied().filter(is_public);
                Err(no_interface(interface, interfaces))
            }
        }
    }

    /// Makes this the reference of the object's owner.
    pub(crate) fn of_owner(self, withdrawal: Withdrawal) -> Self {
        Self { withdrawal: Some(withdrawal), ..self }
    }

    /// Returns the value that withdraws the object, if this is the reference of its owner.
    pub(crate) fn withdrawal(&self) -> Option<Withdrawal> {
        self.withdrawal.clone()
    }

    pub(crate) fn cast(&self, interface: &Description) -> Result<Self> {
        Self::new(self.object.clone(), interface)
    }

    /// Makes a COM reference to pass to another process. Must run on a thread of the apartment.
    pub(crate) fn offer(&self) -> Result<InterfacePointer> {
        let interface = self.object.interfaces().get(self.interface).copied();
        let registered = interface.map(RegisteredInterface::of);
        let registered = registered.ok_or_else(|| Error::failed("there is no such interface"))?;
        let object = self.object.serve_another_client()?;
        let offered = registered.and_then(|registered| object.reference(registered));
        offered.map_err(|error| {
            let text = "the reference can't be passed";
            Error::detected(ErrorKind::System, text).because(error)
        })
    }

    /// Waits for an object. Ends early if background work has failed.
    pub(crate) fn wait(&self, object: &dyn Waitable, deadline: Deadline<'_>) -> Result<()> {
        let failed = self.object.failed();
        deadline.wait(&[object, failed]).map_err(|ended| match ended {
            WaitError::OtherSignalled(_) => self.failure().of_no_call(),
            ended => ended.of_object(),
        })
    }

    /// Returns the error that has ended all calls of this client.
    fn failure(&self) -> Error {
        match self.object.failure() {
            Some(fault) => calls::failure(&fault),
            None => Error::detected(ErrorKind::Disconnected, "the object no longer exists"),
        }
    }

    /// Calls a method on a worker thread. The handles are duplicates already.
    pub(crate) fn call(
        &self,
        method: u32,
        arguments: Vec<u8>,
        handles: Vec<HandleOrObject>,
        deadline: Deadline<'_>,
    ) -> Result<ComReply> {
        let (object, interface) = (self.object.clone(), self.interface);
        let caller = Caller { process_id: None, logical_thread: Guid::NIL };
        let failed = self.object.failed();
        if failed.poll()? {
            return Err(self.failure().did_not_run());
        }
        let called = calls::run(deadline, &[failed], move || {
            let reply: Mutex<Option<std::io::Result<ComReply>>> = Mutex::new(None);
            let call = ComCall { interface, method, arguments, handles, caller };
            object.serve(call, &mut |status, body, handles| {
                let copies = handles.iter().map(HandleOrObject::copy);
                let copies = copies.collect::<std::io::Result<Vec<_>>>();
                let whole = copies.map(|handles| ComReply { status, body, handles });
                *reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(whole);
            });
            reply.into_inner().unwrap_or_else(PoisonError::into_inner)
        });
        match called {
            Ok(Some(reply)) => reply.map_err(|error| {
                let text = "a handle of the result can't be duplicated";
                Error::detected(ErrorKind::System, text).because(error).maybe_ran()
            }),
            Ok(None) => {
                Err(Error::detected(ErrorKind::Failed, "the method didn't reply").maybe_ran())
            }
            Err(WaitError::OtherSignalled(_)) => Err(self.failure().maybe_ran()),
            Err(ended) => Err(Error::from(ended).maybe_ran()),
        }
    }
}
