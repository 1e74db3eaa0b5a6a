//! A received call on its way through generated code.

#[cfg(feature = "tokio")]
use std::{future::Future, sync::Arc};
#[cfg(all(feature = "tokio", not(windows)))]
use std::{future::poll_fn, task::Poll};

use syshandle_os::BorrowedHandle;
use syshandle_types::{
    DecodeError, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder, MessageObject, Payload,
    Prove,
};
use syshandle_wire::{Fault, Status};

use super::context::Context;
use super::system::arguments::Arguments;
#[cfg(all(feature = "tokio", not(windows)))]
use super::system::connection::calls::CallState;
#[cfg(feature = "tokio")]
use crate::async_object::AsyncObject;
use crate::buffer::take_bytes;
#[cfg(all(feature = "tokio", not(windows)))]
use crate::guard::ForeignValue;
use crate::guard::guard;
use crate::limits::LIMITS;
use crate::method_ref::MethodRef;
use crate::received_handles::ReceivedHandles;
use crate::{CallError, Error, Result};

/// A received call, for generated code to run.
pub struct IncomingCall<'a> {
    pub(super) method: MethodRef,
    pub(super) arguments: Arguments,
    pub(super) handles: ReceivedHandles,
    pub(super) context: &'a Context,
    pub(super) reply: ReplyFn<'a>,
    /// Lets a task answer the call.
    #[cfg(all(feature = "tokio", not(windows)))]
    pub(super) later: LaterFn<'a>,
}

impl IncomingCall<'_> {
    /// Returns the number of the method.
    pub fn method(&self) -> u32 {
        self.method.method
    }

    /// Runs a method without an error type of its own.
    pub fn run<A, T: Encode>(
        self,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(A, &Context) -> Result<T>,
    ) {
        let client = Caller::of(self.context);
        let Some((result, reply)) = self.run_method(arguments, method) else { return };
        answer(reply, result, client);
    }

    /// Runs a method with an error type of its own.
    pub fn run_with_error<A, T: Encode, E: Encode>(
        self,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(A, &Context) -> Result<T, CallError<E>>,
    ) {
        let client = Caller::of(self.context);
        let Some((result, reply)) = self.run_method(arguments, method) else { return };
        answer_with_error(reply, result, client);
    }

    /// Starts an asynchronous method without an error type of its own.
    #[cfg(feature = "tokio")]
    pub fn run_async<O, A, T: Encode + 'static, F>(
        self,
        object: &AsyncObject<O>,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(Arc<O>, A, Context) -> F,
    ) where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.start_method(object, arguments, method, answer);
    }

    /// Starts an asynchronous method with an error type of its own.
    #[cfg(feature = "tokio")]
    pub fn run_with_error_async<O, A, T: Encode + 'static, E: Encode + 'static, F>(
        self,
        object: &AsyncObject<O>,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(Arc<O>, A, Context) -> F,
    ) where
        F: Future<Output = Result<T, CallError<E>>> + Send + 'static,
    {
        self.start_method(object, arguments, method, answer_with_error);
    }

    /// Replies to a call of a method that the interface doesn't have.
    pub fn no_such_method(self) {
        let refusal = Fault::NoSuchMethod(self.method());
        self.context.0.count_refusal(&refusal);
        fault(self.reply, &refusal);
    }
}

/// The function that sends the reply of a call.
type ReplyFn<'a> =
    &'a mut dyn FnMut(Status, Payload<'_>, &[BorrowedHandle<'_>], &[Option<MessageObject>]);

/// A call that a task answers. Dropping it answers the call with a fault.
#[cfg(all(feature = "tokio", not(windows)))]
pub(crate) trait AsyncCall: Send {
    /// Takes the context for the method.
    fn take_context(&mut self) -> Option<Context>;

    fn state(&self) -> Arc<CallState>;

    fn reply(
        &mut self,
        status: Status,
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        objects: &[Option<MessageObject>],
    );
}

/// The function that lets a task answer the call. It fails if the client has too many asynchronous
/// calls.
#[cfg(all(feature = "tokio", not(windows)))]
type LaterFn<'a> = &'a mut dyn FnMut() -> Result<Box<dyn AsyncCall>, Fault>;

impl<'a> IncomingCall<'a> {
    /// Decodes the arguments and runs the method. Handles that the arguments don't contain, and
    /// handles that the method drops, are closed.
    fn run_method<A, R>(
        self,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(A, &Context) -> R,
    ) -> Option<(R, ReplyFn<'a>)> {
        let IncomingCall { method: called, arguments: bytes, handles, context, reply, .. } = self;
        let arguments =
            decode_or_refuse(called, (bytes, handles), context, &mut *reply, arguments)?;
        match guard(|| method(arguments, context)) {
            Ok(result) => Some((result, reply)),
            Err(text) => {
                fault(reply, &Fault::Panicked { text });
                None
            }
        }
    }
}

#[cfg(feature = "tokio")]
impl IncomingCall<'_> {
    /// Decodes the arguments, and starts the method as a task.
    #[cfg(not(windows))]
    fn start_method<O, A, R: 'static, F>(
        self,
        object: &AsyncObject<O>,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(Arc<O>, A, Context) -> F,
        answer: fn(ReplyFn<'_>, R, Caller),
    ) where
        F: Future<Output = R> + Send + 'static,
    {
        let IncomingCall {
            method: called, arguments: bytes, handles, context, reply, later, ..
        } = self;
        let Some(arguments) =
            decode_or_refuse(called, (bytes, handles), context, &mut *reply, arguments)
        else {
            return;
        };
        let mut call = match later() {
            Ok(call) => call,
            Err(refusal) => {
                context.0.count_refusal(&refusal);
                return fault(reply, &refusal);
            }
        };
        let (client, state) = (Caller::of(context), call.state());
        let Some(context) = call.take_context() else { return };
        let future = method(object.implementation(), arguments, context);
        let task = object.runtime().spawn(async move {
            let mut reply = |status,
                             body: Payload<'_>,
                             handles: &[BorrowedHandle<'_>],
                             objects: &[Option<MessageObject>]| {
                call.reply(status, body, handles, objects);
            };
            let mut future = ForeignValue::new(Box::pin(future));
            let result = poll_fn(|context| match guard(|| future.as_mut().poll(context)) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
                Err(text) => Poll::Ready(Err(text)),
            });
            match result.await {
                Ok(result) => answer(&mut reply, result, client),
                Err(text) => fault(&mut reply, &Fault::Panicked { text }),
            }
        });
        state.set_task(task.abort_handle());
    }

    /// Decodes the arguments, and waits for the method, because COM has a thread for each call.
    #[cfg(windows)]
    fn start_method<O, A, R: 'static, F>(
        self,
        object: &AsyncObject<O>,
        arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
        method: impl FnOnce(Arc<O>, A, Context) -> F,
        answer: fn(ReplyFn<'_>, R, Caller),
    ) where
        F: Future<Output = R> + Send + 'static,
    {
        let client = Caller::of(self.context);
        let run = |arguments, context: &Context| {
            let future = method(object.implementation(), arguments, context.clone());
            object.runtime().block_on(future)
        };
        let Some((result, reply)) = self.run_method(arguments, run) else { return };
        answer(reply, result, client);
    }
}

/// Decodes the arguments of a call, and counts them in the client's quota. If that fails, replies
/// with a fault and returns `None`.
fn decode_or_refuse<A>(
    called: MethodRef,
    (bytes, handles): (Arguments, ReceivedHandles),
    context: &Context,
    reply: ReplyFn<'_>,
    arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
) -> Option<A> {
    let prover = context.0.prover();
    match decode(called, (bytes, handles), &prover, arguments) {
        Ok(arguments) => {
            context.0.arguments_decoded(&prover);
            Some(arguments)
        }
        Err(error) => {
            refuse(reply, context, error);
            None
        }
    }
}

/// Decodes the arguments of a call. Handles that the arguments don't contain are closed.
fn decode<A>(
    called: MethodRef,
    (bytes, handles): (Arguments, ReceivedHandles),
    prover: &dyn Prove,
    arguments: impl FnOnce(&mut Decoder<'_>) -> Result<A, DecodeError>,
) -> Result<A, DecodeError> {
    // The method may run long, and needs neither the buffer nor the client's shared memory.
    bytes.decode(handles.into_handles(), prover, |input| {
        let mut input = input.of_method(called.interface, called.method);
        let arguments = arguments(&mut input)?;
        input.finish()?;
        Ok(arguments)
    })
}

fn refuse(reply: ReplyFn<'_>, context: &Context, error: DecodeError) {
    crate::log::debug!(%error, "a call was refused");
    let refusal = error.into();
    context.0.count_refusal(&refusal);
    fault(reply, &refusal);
}

/// The receiver of a reply.
#[derive(Clone, Copy)]
struct Caller {
    pid: u32,
    /// What identifies the server in messages to the client; 0 if references to objects of the
    /// server are no numbers.
    receiver: usize,
    /// Whether the result may open streams.
    takes_streams: bool,
}

impl Caller {
    fn of(context: &Context) -> Self {
        let (receiver, takes_streams) = (context.0.receiver(), context.0.takes_streams());
        Self { pid: context.client().pid, receiver, takes_streams }
    }
}

/// Sends the result of a method without an error type of its own.
fn answer<T: Encode>(reply: ReplyFn<'_>, result: Result<T>, client: Caller) {
    match result {
        Ok(value) => send(reply, client, Status::Done, &value),
        Err(error) => fault(reply, &fault_of(&error, client.pid)),
    }
}

/// Sends the result of a method with an error type of its own.
fn answer_with_error<T: Encode, E: Encode>(
    reply: ReplyFn<'_>,
    result: Result<T, CallError<E>>,
    client: Caller,
) {
    match result {
        Ok(value) => send(reply, client, Status::Done, &value),
        Err(CallError::Method(error)) => send(reply, client, Status::Failed, &error),
        Err(CallError::Call(error)) => fault(reply, &fault_of(&error, client.pid)),
    }
}

/// Sends a value, whose handles are lent until the value was sent.
fn send(reply: ReplyFn<'_>, client: Caller, status: Status, value: &impl Encode) {
    let mut out =
        Encoder::new(take_bytes(), LIMITS).to(client.receiver).with_streams(client.takes_streams);
    let encoded = guard(|| value.encode(&mut out));
    let error = match (encoded, out.finish_lent()) {
        (Ok(()), Ok((bytes, handles))) => {
            let objects = handles.objects();
            return handles.with(|handles| reply(status, bytes, handles, &objects));
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
        | EncodeErrorKind::TooManyEntries
        | EncodeErrorKind::TooDeep => Fault::TooLarge { text: format!("{place}{error}") },
        _ => Fault::Unsendable { text: format!("{place}{:#}", Error::from(error)) },
    }
}

/// Returns the fault for the error of a method that the process `client` called.
fn fault_of(error: &Error, client: u32) -> Fault {
    error.to_fault(client == std::process::id())
}

pub(super) fn fault(reply: ReplyFn<'_>, fault: &Fault) {
    reply(Status::Fault, fault.write().into(), &[], &[]);
}

impl std::fmt::Debug for IncomingCall<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingCall").field("method", &self.method).finish_non_exhaustive()
    }
}
