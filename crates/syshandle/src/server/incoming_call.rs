//! A received call on its way through generated code.

use syshandle_os::BorrowedHandle;
use syshandle_types::{
    DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder, Payload,
};
use syshandle_wire::{Fault, Status};

use super::context::Context;
use super::system::arguments::Arguments;
use crate::buffer::take_bytes;
use crate::guard::guard;
use crate::limits::LIMITS;
use crate::received_handles::ReceivedHandles;
use crate::{CallError, Error, Result};

/// A received call, for generated code to run.
pub struct IncomingCall<'a> {
    pub(super) method: u32,
    pub(super) arguments: Arguments,
    pub(super) handles: ReceivedHandles,
    pub(super) context: &'a Context,
    pub(super) reply: ReplyFn<'a>,
}

impl IncomingCall<'_> {
    /// Returns the number of the method.
    pub fn method(&self) -> u32 {
        self.method
    }

    /// Runs a method without an error type of its own.
    pub fn run<A, T: Encode>(
        self,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(A, &Context) -> Result<T>,
    ) {
        let context = self.context;
        let Some((result, reply)) = self.run_method(arguments, method) else { return };
        match result {
            Ok(value) => send(reply, Status::Done, &value),
            Err(error) => fault(reply, &fault_of(&error, context)),
        }
    }

    /// Runs a method with an error type of its own.
    pub fn run_with_error<A, T: Encode, E: Encode>(
        self,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(A, &Context) -> Result<T, CallError<E>>,
    ) {
        let context = self.context;
        let Some((result, reply)) = self.run_method(arguments, method) else { return };
        match result {
            Ok(value) => send(reply, Status::Done, &value),
            Err(CallError::Method(error)) => send(reply, Status::Failed, &error),
            Err(CallError::Call(error)) => fault(reply, &fault_of(&error, context)),
        }
    }

    /// Replies to a call of a method that the interface doesn't have.
    pub fn no_such_method(self) {
        let refusal = Fault::NoSuchMethod(self.method);
        self.context.0.count_refusal(&refusal);
        fault(self.reply, &refusal);
    }
}

/// The function that sends the reply of a call.
type ReplyFn<'a> = &'a mut dyn FnMut(Status, Payload<'_>, &[BorrowedHandle<'_>]);

impl<'a> IncomingCall<'a> {
    /// Decodes the arguments and runs the method. Handles that the arguments don't contain, and
    /// handles that the method drops, are closed.
    fn run_method<A, R>(
        self,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(A, &Context) -> R,
    ) -> Option<(R, ReplyFn<'a>)> {
        let IncomingCall { arguments: bytes, handles, context, reply, .. } = self;
        let (prover, handles) = (context.0.prover(), handles.into_handles());
        let decoded: Result<A, DecodeError> = bytes.decode(handles, &prover, |mut input| {
            let arguments = arguments(&mut input)?;
            input.finish()?;
            Ok(arguments)
        });
        // The method may run long, and needs neither the buffer nor the client's shared memory.
        drop(bytes);
        let arguments = match decoded {
            Ok(arguments) => arguments,
            Err(error) => {
                crate::log::debug!(%error, "a call was refused");
                let refusal = error.into();
                context.0.count_refusal(&refusal);
                fault(reply, &refusal);
                return None;
            }
        };
        context.0.arguments_decoded(&prover);
        match guard(|| method(arguments, context)) {
            Ok(result) => Some((result, reply)),
            Err(text) => {
                fault(reply, &Fault::Panicked { text });
                None
            }
        }
    }
}

/// Sends a value, whose handles are lent until the value was sent.
fn send(reply: ReplyFn<'_>, status: Status, value: &impl Encode) {
    let mut out = Encoder::new(take_bytes(), LIMITS);
    let encoded = guard(|| value.encode(&mut out));
    let error = match (encoded, out.finish_lent()) {
        (Ok(()), Ok((bytes, handles))) => {
            return handles.with(|handles| reply(status, bytes, handles));
        }
        (Ok(()), Err(error)) => unsendable(error),
        (Err(text), _) => Fault::Panicked { text },
    };
    fault(reply, &error);
}

fn unsendable(error: EncodeError) -> Fault {
    let place = match error.path.as_str() {
        "" => String::new(),
        path => format!("`{path}`: "),
    };
    let error = error.kind;
    match error {
        EncodeErrorKind::TooManyBytes { .. }
        | EncodeErrorKind::TooManyHandles { .. }
        | EncodeErrorKind::TooDeep => Fault::TooLarge { text: format!("{place}{error}") },
        _ => Fault::Unsendable { text: format!("{place}{:#}", Error::from(error)) },
    }
}

/// Returns the fault for the error of a method.
fn fault_of(error: &Error, context: &Context) -> Fault {
    error.to_fault(context.client().pid == std::process::id())
}

pub(super) fn fault(reply: ReplyFn<'_>, fault: &Fault) {
    reply(Status::Fault, fault.write().into(), &[]);
}

impl std::fmt::Debug for IncomingCall<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingCall").field("method", &self.method).finish_non_exhaustive()
    }
}
