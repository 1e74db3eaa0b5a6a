//! References that COM returned, and the processes that serve them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_com::{
    CallResult, ComError, InterfacePointer, LentHandle, RegisteredInterface, logical_thread,
};
use syshandle_os::{Credentials, ManualEvent, Process, Waitable};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{Decode, Decoder, Encoder, Guid};
use syshandle_wire::{Fault, Status};

use super::ComReply;
use super::calls::{self, Deadline, WaitError};
use crate::class::Interface;
use crate::limits::LIMITS;
use crate::received_handles::KernelProver;
use crate::server_status::ServerStatus;
use crate::stand_in::HandleOrObject;
use crate::{Error, ErrorKind, Result};

/// Reference to an object of a server.
#[derive(Debug)]
pub(crate) struct RemoteObject {
    object: Arc<ApartmentRef>,
    server: Option<Arc<ServerInfo>>,
}

/// State of a server that uses this crate.
#[derive(Debug)]
struct ServerInfo {
    status: ApartmentRef,
    process: Process,
    /// Signalled when background work has failed, or the server was stopped.
    failed: ManualEvent,
}

/// COM reference that is released on a thread of the apartment.
#[derive(Debug)]
struct ApartmentRef(Option<InterfacePointer>);

impl RemoteObject {
    /// Wraps a COM reference, and queries the process of its server. Must run on a thread of the
    /// apartment.
    pub(crate) fn attach(object: InterfacePointer) -> Result<Self> {
        let server = match RegisteredInterface::of(<dyn ServerStatus>::DESCRIPTION)
            .and_then(|status| object.query(status))
        {
            Ok(status) => Some(Arc::new(ServerInfo::attach(status)?)),
            Err(error) if is_disconnected(&error) => return Err(disconnected().because(error)),
            // The server doesn't use this crate.
            Err(error) => {
                crate::log::debug!(%error, "the server doesn't report its end");
                None
            }
        };
        Ok(Self { object: Arc::new(ApartmentRef(Some(object))), server })
    }

    /// Returns the process that serves the object.
    pub(crate) fn server(&self) -> Result<Credentials> {
        match &self.server {
            Some(server) => {
                let id = server.process.id()?;
                Ok(Credentials::of_process(id.unwrap_or_default()))
            }
            None => {
                let text = "the server does not use this crate, and does not report its process";
                Err(Error::detected(ErrorKind::NoSuchInterface, text))
            }
        }
    }

    /// Waits for an object. Ends early if the server has ended or background work has failed.
    pub(crate) fn wait(&self, object: &dyn Waitable, deadline: Deadline<'_>) -> Result<()> {
        let mut objects = vec![object];
        objects.extend(self.end_signals());
        deadline.wait(&objects).map_err(|ended| match ended {
            ended @ WaitError::OtherSignalled(_) => self.ended(ended).of_no_call(),
            ended => ended.of_object(),
        })
    }

    /// Fails if an error has ended all calls of this client.
    fn check(&self) -> Result<()> {
        match &self.server {
            Some(server) if server.failed.poll()? => Err(server.failure().did_not_run()),
            _ => Ok(()),
        }
    }

    /// Calls a method.
    pub(crate) fn call(
        &self,
        method: u32,
        bytes: Vec<u8>,
        handles: Vec<HandleOrObject>,
        deadline: Deadline<'_>,
    ) -> Result<ComReply> {
        self.check()?;
        let (object, server) = (self.object.clone(), self.server.clone());
        let work = move || {
            let Some(remote) = &object.0 else { return Err(disconnected()) };
            let lent = handles.iter().map(HandleOrObject::pass).collect::<Result<Vec<_>>>()?;
            let outcome = remote.call(method, &bytes, &lent);
            reply(outcome, server.as_deref())
        };
        match calls::run(deadline, &self.end_signals(), work) {
            Ok(reply) => reply,
            Err(ended) => Err(self.ended(ended).maybe_ran()),
        }
    }

    /// Returns the COM reference to pass to another process. Must run on a thread of the apartment.
    pub(crate) fn offer(&self) -> Result<InterfacePointer> {
        self.object.0.clone().ok_or_else(disconnected)
    }

    /// Returns a reference to the same object by another interface.
    pub(crate) fn cast(
        &self,
        interface: &'static Description,
        deadline: Deadline<'_>,
    ) -> Result<Self> {
        self.check()?;
        let (object, server) = (self.object.clone(), self.server.clone());
        let work = move || {
            let Some(remote) = &object.0 else { return Err(disconnected()) };
            let cast =
                RegisteredInterface::of(interface).and_then(|registered| remote.query(registered));
            cast.map_err(|error| match is_disconnected(&error) {
                true => disconnected().because(error),
                false => Error::from_fault(&Fault::NoSuchInterface(interface.iid)).because(error),
            })
        };
        match calls::run(deadline, &self.end_signals(), work) {
            Ok(cast) => Ok(Self { object: Arc::new(ApartmentRef(Some(cast?))), server }),
            Err(ended) => Err(self.ended(ended)),
        }
    }

    /// Returns the objects whose signal ends every wait for the server.
    fn end_signals(&self) -> Vec<&dyn Waitable> {
        match &self.server {
            Some(server) => vec![&server.failed, &server.process],
            None => Vec::new(),
        }
    }

    /// Returns the error of a wait that ended early.
    fn ended(&self, ended: WaitError) -> Error {
        match (ended, &self.server) {
            (WaitError::OtherSignalled(0), Some(server)) => server.failure(),
            (WaitError::OtherSignalled(_), _) => disconnected(),
            (ended, _) => ended.into(),
        }
    }
}

impl ServerInfo {
    fn attach(status: InterfacePointer) -> Result<Self> {
        let (process, failed): (Process, ManualEvent) = call_status(&status, ATTACH, |_| {})?;
        Ok(Self { status: ApartmentRef(Some(status)), process, failed })
    }

    /// Returns the error that has ended all calls of this client.
    fn failure(&self) -> Error {
        let status = self.status.0.clone();
        let now = Instant::now();
        let deadline = Deadline { instant: now + STATUS_TIMEOUT, cancel: None };
        let reply = calls::run(deadline, &[&self.process], move || -> Option<Vec<u8>> {
            call_status(status.as_ref()?, FAILURE, |_| {}).ok()
        });
        let fault = reply.ok().flatten().and_then(|bytes| Fault::read(&bytes).ok());
        match fault {
            Some(fault) => calls::failure(&fault),
            None => disconnected(),
        }
    }

    /// Returns the complete fault of the call that this chain of calls has just made. COM itself
    /// passes only a number.
    fn fault(&self, thread: Guid) -> Option<Vec<u8>> {
        let bytes: Vec<u8> =
            call_status(self.status.0.as_ref()?, FAULT, |out| out.parameter(0, &thread)).ok()?;
        Fault::read(&bytes).is_ok().then_some(bytes)
    }
}

impl Drop for ApartmentRef {
    fn drop(&mut self) {
        let Some(remote) = self.0.take() else { return };
        // The server has released the object when this returns, unless it doesn't answer within
        // [`STATUS_TIMEOUT`].
        let deadline = Deadline { instant: Instant::now() + STATUS_TIMEOUT, cancel: None };
        let _ = calls::run(deadline, &[], move || drop(remote));
    }
}

/// Converts the outcome of a call to its reply.
fn reply(outcome: CallResult, server: Option<&ServerInfo>) -> Result<ComReply> {
    let CallResult { hresult, reply } = outcome;
    // A server of this crate refuses a call with this code while it ends.
    let is_refused = server.is_some() && hresult.0 as u32 == 0x8008_0008;
    if calls::is_disconnected(hresult.0 as u32) && !is_refused {
        // With these codes COM guarantees that the call never began.
        let did_not_run = matches!(hresult.0 as u32, 0x8001_0012 | 0x8007_06ba | 0x8007_06bf);
        let error = disconnected().because(hresult.to_string());
        return Err(if did_not_run { error.did_not_run() } else { error.maybe_ran() });
    }
    match reply {
        Ok((status, body, handles)) => {
            let full_fault = match (status, server) {
                (Status::Fault, Some(server)) if hresult.is_failure() => {
                    server.fault(logical_thread())
                }
                _ => None,
            };
            let handles = handles.into_iter().map(super::receive).collect::<Result<_>>();
            let handles = handles.map_err(Error::maybe_ran)?;
            Ok(ComReply { status, body: full_fault.unwrap_or(body), handles })
        }
        Err(error) => {
            let fault = Fault::from(error);
            Err(Error::from_fault(&fault))
        }
    }
}

/// Calls a method of the private interface. Must run on a thread of the apartment.
fn call_status<'a, T: Decode>(
    status: &InterfacePointer,
    method: u32,
    arguments: impl FnOnce(&mut Encoder<'a>),
) -> Result<T> {
    let mut out = Encoder::new(Vec::new(), LIMITS);
    arguments(&mut out);
    let (bytes, handles) = out.finish().map_err(|error| Error::from(error.kind))?;
    let lent: Vec<_> = handles.into_iter().map(LentHandle::Handle).collect();
    let reply = reply(status.call(method, &bytes, &lent), None)?;
    if reply.status != Status::Done {
        return Err(disconnected());
    }
    // The private interface passes no references.
    let handles: Vec<_> =
        reply.handles.into_iter().filter_map(HandleOrObject::into_handle).collect();
    let mut input = Decoder::new(&reply.body, handles, &KernelProver);
    let value = input.field(None).map_err(|error| Error::from_fault(&Fault::from(error)))?;
    input.finish().map_err(|error| Error::from_fault(&Fault::from(error)))?;
    Ok(value)
}

fn is_disconnected(error: &ComError) -> bool {
    error.hresult().is_some_and(|hresult| calls::is_disconnected(hresult.0 as u32))
}

fn disconnected() -> Error {
    Error::detected(ErrorKind::Disconnected, "the server has ended")
}

/// Method numbers of the private interface.
const ATTACH: u32 = 0;
const FAILURE: u32 = 1;
const FAULT: u32 = 2;

/// Longest wait for a server that may hang.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
