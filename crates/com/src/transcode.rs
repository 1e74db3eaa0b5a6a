//! Conversion between a call in this project's form (encoded bytes, and handles in order) and the
//! slots of a COM method.
//!
//! ```text
//! client                                   server
//! arguments ─ lay_out_call ─▶ slots  ═══▶  slots ─ collect_call ─▶ arguments
//! result ◀─ collect_reply ─── slots  ◀═══  slots ◀─ lay_out_reply ── result
//! ```
//!
//! This module checks received values as far as the RPC runtime doesn't: counts, NULL pointers,
//! enum values and UTF-16. The kind and rights of handles are proven afterwards, as on Linux.

mod envelope;
mod problem;
mod put;
mod reach;
mod take;
mod walk;

use syshandle_os::Kind;
use syshandle_types::Guid;
use syshandle_types::describe::{Parameter, Type};
use syshandle_wire::{Fault, Status};

use crate::plan::{Layout, MethodPlan, Native};
use crate::shape::Enumeration;
use crate::{ErrorInfo, Hresult, Memory};
pub use problem::{Problem, TranscodeError};
use put::Put;
use reach::Reached;
use take::Take;

/// A handle or interface pointer to pass. The caller keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// The value of the handle or pointer.
    pub value: u64,
    /// The kind of the handle, if known. Needed only if the interface declares several kinds.
    pub kind: Option<Kind>,
}

/// The type of a received handle or pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A handle of this kind. A directory is received as a file.
    Handle(Kind),
    /// A pointer to this interface.
    Object(Guid),
}

/// A received handle or interface pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The value of the handle or pointer.
    pub value: u64,
    /// The type that it was passed as.
    pub sort: Sort,
}

/// A call in the form that the server's dispatch accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The encoded arguments.
    pub arguments: Vec<u8>,
    /// The handles of the arguments, in order. The RPC runtime owns them and closes them after the
    /// call.
    pub handles: Vec<Passed>,
}

/// A reply in the form that the server's dispatch returns.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The type of the body: result, error or fault.
    pub status: Status,
    /// The encoded result, error or [`Fault`].
    pub body: &'a [u8],
    /// The handles of the body, in order.
    pub handles: &'a [Lent],
}

/// The end of a call on the server's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The return value of the COM method.
    pub hresult: Hresult,
    /// Whether the slots now contain the reply's handles, so that the RPC runtime closes them.
    pub gives_handles: bool,
    /// The error information of a failure.
    pub info: Option<ErrorInfo>,
}

/// The contents of a call's slots after it returned to the client.
#[derive(Debug)]
pub struct Collected {
    /// The reply, in the same form as on Linux.
    pub reply: Result<Received, TranscodeError>,
    /// Received handles that don't belong to a reply. The caller has to close them.
    pub strays: Vec<Passed>,
}

/// A received reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The type of the body: result, error or fault.
    pub status: Status,
    /// The encoded result, error or [`Fault`].
    pub body: Vec<u8>,
    /// The handles of the body, in order. The caller owns them.
    pub handles: Vec<Passed>,
}

/// The client's side.
impl MethodPlan {
    /// Writes the slots of a call: the arguments, and cells for the result. Everything they point
    /// to is allocated in `memory`.
    ///
    /// # Errors
    /// Returns an error for a value that COM can't pass: a text that contains a zero, an invalid
    /// handle, or if no memory is left.
    pub fn lay_out_call(
        &self,
        arguments: &[u8],
        handles: &[Lent],
        memory: &mut dyn Memory,
    ) -> Result<Vec<u64>, TranscodeError> {
        match &self.layout {
            Layout::Native(native) => lay_out(native, arguments, handles, memory),
            Layout::Opaque(native) => {
                let (bytes, handles) = envelope::seal(
                    &native.parameters,
                    self.method.parameters,
                    &[],
                    arguments,
                    handles,
                )?;
                lay_out(native, &bytes, &handles, memory)
            }
            Layout::Missing(why) => Err(Problem::Missing(why.clone()).into()),
        }
    }

    /// Reads the reply from the slots of a returned call, and frees the memory of its result.
    /// `info` is the error information of a failure.
    pub fn collect_reply(
        &self,
        hresult: Hresult,
        info: Option<&ErrorInfo>,
        slots: &[u64],
        memory: &mut dyn Memory,
    ) -> Collected {
        let Some(native) = self.slots() else {
            return Collected { reply: Ok(self.failure(hresult, info)), strays: Vec::new() };
        };
        let reached = Reached::from(native, slots, memory);
        let reply = match hresult.is_failure() {
            true => Ok(self.failure(hresult, info)),
            false => self.result(native, slots, memory),
        };
        for address in reached.addresses {
            memory.free(address);
        }
        let is_theirs = reply.as_ref().is_ok_and(|reply| !reply.handles.is_empty());
        let strays = if is_theirs { Vec::new() } else { reached.handles };
        Collected { reply, strays }
    }

    fn result(
        &self,
        native: &Native,
        slots: &[u64],
        memory: &dyn Memory,
    ) -> Result<Received, TranscodeError> {
        let mut take = Take::new(memory);
        for member in &native.results {
            take.result(member, slots)?;
        }
        let (mut body, handles) = take.finish();
        if self.is_opaque() {
            let opened = envelope::open(&body, handles, 1)?;
            let status = opened.head.first().and_then(|head| Status::from_number((*head).into()));
            let status = status.ok_or(Problem::Value("status"))?;
            return Ok(Received { status, body: opened.values, handles: opened.handles });
        }
        if native.results.is_empty() {
            // The unit type `()` is encoded as one byte.
            body.push(0);
        }
        Ok(Received { status: Status::Done, body, handles })
    }

    fn failure(&self, hresult: Hresult, info: Option<&ErrorInfo>) -> Received {
        let errors = self.slots().map_or(&[][..], |native| &native.errors);
        let variant = errors.iter().position(|error| *error == hresult);
        let (status, body) = match variant {
            Some(place) => (Status::Failed, (place as u32).to_le_bytes().to_vec()),
            None => {
                let said = info.map(|info| &*info.description).filter(|said| !said.is_empty());
                (Status::Fault, hresult.to_fault(self.number, said).write())
            }
        };
        Received { status, body, handles: Vec::new() }
    }
}

/// The server's side.
impl MethodPlan {
    /// Reads the call from a method's slots. The RPC runtime continues to own the handles.
    ///
    /// # Errors
    /// Returns an error if a value doesn't match the interface.
    pub fn collect_call(&self, slots: &[u64], memory: &dyn Memory) -> Result<Call, TranscodeError> {
        let Some(native) = self.slots() else {
            return Err(Problem::Missing(self.missing().unwrap_or_default().to_owned()).into());
        };
        let mut take = Take::new(memory);
        for member in &native.parameters {
            take.parameter(member, slots)?;
        }
        let (arguments, handles) = take.finish();
        if self.is_opaque() {
            let opened = envelope::open(&arguments, handles, 0)?;
            return Ok(Call { arguments: opened.values, handles: opened.handles });
        }
        Ok(Call { arguments, handles })
    }

    /// Writes a reply to the cells that the call's slots point to. On failure, the cells are
    /// zeroed.
    pub fn lay_out_reply(
        &self,
        reply: Reply<'_>,
        slots: &[u64],
        memory: &mut dyn Memory,
    ) -> Answer {
        let laid_out = match (&self.layout, reply.status) {
            (Layout::Native(native), Status::Done) => {
                let body = if native.results.is_empty() { &[] } else { reply.body };
                give(native, body, reply.handles, slots, memory)
            }
            (Layout::Opaque(native), status) => {
                let types = match status {
                    Status::Done => Some(self.method.result),
                    Status::Failed => self.method.error.map(error_value),
                    Status::Fault => None,
                };
                let head = [status as u8];
                envelope::seal(&native.results, types.as_slice(), &head, reply.body, reply.handles)
                    .and_then(|(bytes, handles)| give(native, &bytes, &handles, slots, memory))
            }
            (Layout::Native(native), Status::Failed) => {
                put::clear(native, slots, memory);
                return self.failed(native, reply.body);
            }
            (Layout::Native(native), Status::Fault) => {
                put::clear(native, slots, memory);
                return Answer::of_fault(&read_fault(reply.body));
            }
            (Layout::Missing(why), _) => Err(Problem::Missing(why.clone()).into()),
        };
        match laid_out {
            Ok(()) => Answer { hresult: Hresult::OK, gives_handles: true, info: None },
            Err(error) => Answer::of_fault(&error.into_unsendable()),
        }
    }

    fn failed(&self, native: &Native, body: &[u8]) -> Answer {
        let place = body.try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX) as usize;
        let Some(hresult) = native.errors.get(place).copied() else {
            return Answer::of_fault(&Fault::Unsendable { text: "no such error".to_owned() });
        };
        let name = self.method.error.and_then(|error| Enumeration::variant(&error, place));
        let description = name.unwrap_or_default().to_owned();
        let info = Some(ErrorInfo { description });
        Answer { hresult, gives_handles: false, info }
    }
}

impl Answer {
    /// The answer for a call that failed or was refused.
    pub fn of_fault(fault: &Fault) -> Self {
        Self {
            hresult: Hresult::of_fault(fault),
            gives_handles: false,
            info: Some(ErrorInfo::of_fault(fault)),
        }
    }
}

/// Writes the slots of the arguments, and allocates cells for the result.
fn lay_out(
    native: &Native,
    bytes: &[u8],
    handles: &[Lent],
    memory: &mut dyn Memory,
) -> Result<Vec<u64>, TranscodeError> {
    let mut slots = Vec::with_capacity(native.slot_count());
    let mut put = Put::new(bytes, handles, memory);
    for member in &native.parameters {
        put.parameter(member, &mut slots)?;
    }
    put.finish()?;
    for member in &native.results {
        put::cells(member, memory, &mut slots)?;
    }
    Ok(slots)
}

/// Writes results to the cells that the slots point to: all of them, or none.
fn give(
    native: &Native,
    bytes: &[u8],
    handles: &[Lent],
    slots: &[u64],
    memory: &mut dyn Memory,
) -> Result<(), TranscodeError> {
    put::clear(native, slots, memory);
    let mut put = Put::new(bytes, handles, memory);
    let mut given = native.results.iter().try_for_each(|member| put.result(member, slots));
    if given.is_ok() {
        given = put.finish();
    }
    let allocated = put.into_allocated();
    if given.is_err() {
        put::clear(native, slots, memory);
        allocated.into_iter().for_each(|address| memory.free(address));
    }
    given
}

/// The parameter description of a method's error type.
fn error_value(ty: Type) -> Parameter {
    Parameter { name: "", ty, handle: None }
}

/// Decodes a fault that the server's own side encoded.
fn read_fault(body: &[u8]) -> Fault {
    Fault::read(body).unwrap_or_else(|error| Fault::Failed { text: error.to_string() })
}
