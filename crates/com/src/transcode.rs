//! Between a call in our own form, encoded bytes and handles in order, and the slots of a COM method.
//!
//! ```text
//! client                                   server
//! arguments ─ lay_out_call ─▶ slots  ═══▶  slots ─ collect_call ─▶ arguments
//! result ◀─ collect_reply ─── slots  ◀═══  slots ◀─ lay_out_reply ── result
//! ```
//!
//! What comes from the other side is checked here as far as it isn't by the RPC runtime: counts, NULL,
//! values of enums, UTF-16. Whether a handle is what is declared is proven afterwards, as on Linux.

mod envelope;
mod problem;
mod put;
mod reach;
mod take;
mod walk;

use syshandle_os::Kind;
use syshandle_wire::describe::{Parameter, Type};
use syshandle_wire::{Fault, Guid, Status};

use crate::plan::{Layout, MethodPlan, Native};
use crate::shape::Enumeration;
use crate::{ErrorInfo, Hresult, Memory};
pub use problem::{Problem, TranscodeError};
use put::Put;
use reach::Reached;
use take::Take;

/// A handle, or a pointer to an interface, that is passed and stays the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// Its value.
    pub value: u64,
    /// What it is known to be; needed only where the interface declares several kinds.
    pub kind: Option<Kind>,
}

/// What a slot for a handle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A handle that came as one of this kind. A directory came as a file.
    Handle(Kind),
    /// A pointer to this interface.
    Object(Guid),
}

/// A handle, or a pointer to an interface, that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its value.
    pub value: u64,
    /// What it came as.
    pub sort: Sort,
}

/// A call, as the server's dispatch takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The encoded arguments.
    pub arguments: Vec<u8>,
    /// Their handles, in order. They are the RPC runtime's, which closes them after the call.
    pub handles: Vec<Passed>,
}

/// A reply, as the server's dispatch gives it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What the body is.
    pub status: Status,
    /// The encoded result, error or [`Fault`].
    pub body: &'a [u8],
    /// Its handles, in order.
    pub handles: &'a [Lent],
}

/// How the server's side of a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the COM method returns.
    pub hresult: Hresult,
    /// Whether the reply's handles are in its slots now, and so are the RPC runtime's to close.
    pub gives_handles: bool,
    /// What to say besides, of a failure.
    pub info: Option<ErrorInfo>,
}

/// What a client got.
#[derive(Debug)]
pub struct Collected {
    /// The reply, as on Linux.
    pub reply: Result<Received, TranscodeError>,
    /// Handles that came without being part of a reply: to be closed.
    pub strays: Vec<Passed>,
}

/// A reply that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What the body is.
    pub status: Status,
    /// The encoded result, error or [`Fault`].
    pub body: Vec<u8>,
    /// Its handles, in order: the caller's from now on.
    pub handles: Vec<Passed>,
}

/// The client's side.
impl MethodPlan {
    /// The slots of a call: arguments, and places for the result, which are all in `memory`.
    ///
    /// # Errors
    /// A value that COM can't carry: a text with a zero in it, no handle, no memory.
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

    /// The reply in the slots of a call that returned, whose memory is freed. `info` is what was said
    /// besides, of a failure.
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
            // A `()` takes a byte.
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
    /// The call in a method's slots. Its handles stay the RPC runtime's.
    ///
    /// # Errors
    /// A value isn't what the interface says.
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

    /// Writes a reply where the slots of the call point. If that fails nothing of it is left there.
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
    /// The answer that a call isn't served, or failed.
    pub fn of_fault(fault: &Fault) -> Self {
        Self {
            hresult: Hresult::of_fault(fault),
            gives_handles: false,
            info: Some(ErrorInfo::of_fault(fault)),
        }
    }
}

/// The slots of arguments, and cells for the result.
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

/// Writes results into the cells that the slots point at; all of them, or none.
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

/// A method's own error, as a value.
fn error_value(ty: Type) -> Parameter {
    Parameter { name: "", ty, handle: None }
}

/// The fault of a body that the server's own side wrote.
fn read_fault(body: &[u8]) -> Fault {
    Fault::read(body).unwrap_or_else(|error| Fault::Failed { text: error.to_string() })
}
