//! Converts calls between this project's form (encoded bytes, and a list of handles) and the slots
//! of a COM method.
//!
//! ```text
//! client                                   server
//! arguments ─ lay_out_call ─▶ slots  ═══▶  slots ─ collect_call ─▶ arguments
//! result ◀─ collect_reply ─── slots  ◀═══  slots ◀─ lay_out_reply ── result
//! ```
//!
//! This module checks what the RPC runtime doesn't check in received values: counts, NULL pointers,
//! enum values and UTF-16. The kind and rights of handles are proven afterwards, as on Linux.

mod envelope;
mod handle_kinds;
mod message;
mod problem;
mod reachable;
mod reader;
mod writer;

use syshandle_types::describe::{Parameter, Type};
use syshandle_wire::{Fault, Status};

use crate::hresult::{ErrorInfo, Hresult};
use crate::memory::Memory;
use crate::plan::{MethodForm, MethodPlan, SlotLayout};
use crate::shape::Enumeration;
pub use message::{
    Call, CollectedReply, HandleType, MethodReturn, RawLentHandle, RawReceivedHandle,
    ReceivedReply, Reply,
};
pub use problem::{Problem, TranscodeError};
use reachable::ReachableMemory;
use reader::ComReader;
use writer::ComWriter;

/// Client-side conversions.
impl MethodPlan {
    /// Writes the slots of a call. They contain the arguments, and pointers to zeroed memory for
    /// the result. All pointees are allocated in `memory`.
    ///
    /// # Errors
    /// Returns an error if COM can't pass a value (a string that contains a zero, or an invalid
    /// handle) or if no memory is left.
    pub fn lay_out_call(
        &self,
        arguments: &[u8],
        handles: &[RawLentHandle],
        memory: &mut dyn Memory,
    ) -> Result<Vec<u64>, TranscodeError> {
        match &self.form {
            MethodForm::Native(layout) => write_arguments(layout, arguments, handles, memory),
            MethodForm::Opaque(layout) => {
                let (bytes, handles) = envelope::pack(
                    &layout.parameters,
                    self.method.parameters,
                    &[],
                    arguments,
                    handles,
                )?;
                write_arguments(layout, &bytes, &handles, memory)
            }
            MethodForm::Unsupported(why) => Err(Problem::Unsupported(why.clone()).into()),
        }
    }

    /// Reads the reply from the slots of a returned call, and frees the memory of the result.
    /// `info` is the COM error information of a failed call.
    pub fn collect_reply(
        &self,
        hresult: Hresult,
        info: Option<&ErrorInfo>,
        slots: &[u64],
        memory: &mut dyn Memory,
    ) -> CollectedReply {
        let Some(layout) = self.slots() else {
            return CollectedReply { reply: Ok(self.failure(hresult, info)), strays: Vec::new() };
        };
        let reachable = ReachableMemory::of(layout, slots, memory);
        let reply = match hresult.is_failure() {
            true => Ok(self.failure(hresult, info)),
            false => self.result(layout, slots, memory),
        };
        for address in reachable.addresses {
            memory.free(address);
        }
        let is_theirs = reply.as_ref().is_ok_and(|reply| !reply.handles.is_empty());
        let strays = if is_theirs { Vec::new() } else { reachable.handles };
        CollectedReply { reply, strays }
    }

    fn result(
        &self,
        layout: &SlotLayout,
        slots: &[u64],
        memory: &dyn Memory,
    ) -> Result<ReceivedReply, TranscodeError> {
        let mut reader = ComReader::new(memory);
        for value in &layout.results {
            reader.result(value, slots)?;
        }
        let (mut body, handles) = reader.finish();
        if self.is_opaque() {
            let contents = envelope::unpack(&body, handles, 1)?;
            let status = contents.head.first().and_then(|head| Status::from_number((*head).into()));
            let status = status.ok_or(Problem::Value("status"))?;
            return Ok(ReceivedReply { status, body: contents.values, handles: contents.handles });
        }
        if layout.results.is_empty() {
            // The unit type `()` is encoded as one byte.
            body.push(0);
        }
        Ok(ReceivedReply { status: Status::Done, body, handles })
    }

    fn failure(&self, hresult: Hresult, info: Option<&ErrorInfo>) -> ReceivedReply {
        let errors = self.slots().map_or(&[][..], |layout| &layout.errors);
        let variant = errors.iter().position(|error| *error == hresult);
        let (status, body) = match variant {
            Some(index) => (Status::Failed, (index as u32).to_le_bytes().to_vec()),
            None => {
                let said = info.map(|info| &*info.description).filter(|said| !said.is_empty());
                (Status::Fault, hresult.to_fault(self.number, said).write())
            }
        };
        ReceivedReply { status, body, handles: Vec::new() }
    }
}

/// Server-side conversions.
impl MethodPlan {
    /// Reads a call from the slots of a method. The RPC runtime keeps ownership of the handles.
    ///
    /// # Errors
    /// Returns an error if a value doesn't match the interface.
    pub fn collect_call(&self, slots: &[u64], memory: &dyn Memory) -> Result<Call, TranscodeError> {
        let Some(layout) = self.slots() else {
            return Err(
                Problem::Unsupported(self.unsupported().unwrap_or_default().to_owned()).into()
            );
        };
        let mut reader = ComReader::new(memory);
        for value in &layout.parameters {
            reader.parameter(value, slots)?;
        }
        let (arguments, handles) = reader.finish();
        if self.is_opaque() {
            let contents = envelope::unpack(&arguments, handles, 0)?;
            return Ok(Call { arguments: contents.values, handles: contents.handles });
        }
        Ok(Call { arguments, handles })
    }

    /// Writes a reply to the memory that the call's \[out\] slots point to. On failure, zeroes this
    /// memory.
    pub fn lay_out_reply(
        &self,
        reply: Reply<'_>,
        slots: &[u64],
        memory: &mut dyn Memory,
    ) -> MethodReturn {
        let laid_out = match (&self.form, reply.status) {
            (MethodForm::Native(layout), Status::Done) => {
                let body = if layout.results.is_empty() { &[] } else { reply.body };
                write_results(layout, body, reply.handles, slots, memory)
            }
            (MethodForm::Opaque(layout), status) => {
                let types = match status {
                    Status::Done => Some(self.method.result),
                    Status::Failed => self.method.error.map(error_parameter),
                    Status::Fault => None,
                };
                let head = [status as u8];
                envelope::pack(&layout.results, types.as_slice(), &head, reply.body, reply.handles)
                    .and_then(|(bytes, handles)| {
                        write_results(layout, &bytes, &handles, slots, memory)
                    })
            }
            (MethodForm::Native(layout), Status::Failed) => {
                writer::clear_cells(layout, slots, memory);
                return self.error_return(layout, reply.body);
            }
            (MethodForm::Native(layout), Status::Fault) => {
                writer::clear_cells(layout, slots, memory);
                return MethodReturn::of_fault(&read_fault(reply.body));
            }
            (MethodForm::Unsupported(why), _) => Err(Problem::Unsupported(why.clone()).into()),
        };
        match laid_out {
            Ok(()) => MethodReturn { hresult: Hresult::OK, gives_handles: true, info: None },
            Err(error) => MethodReturn::of_fault(&error.into_unsendable()),
        }
    }

    fn error_return(&self, layout: &SlotLayout, body: &[u8]) -> MethodReturn {
        let index = body.try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX) as usize;
        let Some(hresult) = layout.errors.get(index).copied() else {
            return MethodReturn::of_fault(&Fault::Unsendable { text: "no such error".to_owned() });
        };
        let name = self.method.error.and_then(|error| Enumeration::variant(&error, index));
        let description = name.unwrap_or_default().to_owned();
        let info = Some(ErrorInfo { description });
        MethodReturn { hresult, gives_handles: false, info }
    }
}

/// Returns the slots of a call: the arguments, and pointers to new memory for the result.
fn write_arguments(
    layout: &SlotLayout,
    bytes: &[u8],
    handles: &[RawLentHandle],
    memory: &mut dyn Memory,
) -> Result<Vec<u64>, TranscodeError> {
    let mut slots = Vec::with_capacity(layout.slot_count());
    let mut writer = ComWriter::new(bytes, handles, memory);
    for value in &layout.parameters {
        writer.parameter(value, &mut slots)?;
    }
    writer.finish()?;
    for value in &layout.results {
        writer::allocate_cells(value, memory, &mut slots)?;
    }
    Ok(slots)
}

/// Writes all results to the memory that the slots point to. If one can't be written, writes none.
fn write_results(
    layout: &SlotLayout,
    bytes: &[u8],
    handles: &[RawLentHandle],
    slots: &[u64],
    memory: &mut dyn Memory,
) -> Result<(), TranscodeError> {
    writer::clear_cells(layout, slots, memory);
    let mut writer = ComWriter::new(bytes, handles, memory);
    let mut written = layout.results.iter().try_for_each(|value| writer.result(value, slots));
    if written.is_ok() {
        written = writer.finish();
    }
    let allocated = writer.into_allocated();
    if written.is_err() {
        writer::clear_cells(layout, slots, memory);
        allocated.into_iter().for_each(|address| memory.free(address));
    }
    written
}

/// Returns a parameter description for a method's error type.
fn error_parameter(ty: Type) -> Parameter {
    Parameter::new("", ty, None)
}

/// Decodes a fault that this server has encoded.
fn read_fault(body: &[u8]) -> Fault {
    Fault::read(body).unwrap_or_else(|error| Fault::Failed { text: error.to_string() })
}
