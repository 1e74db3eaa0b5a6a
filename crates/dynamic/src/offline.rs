//! Encoding and decoding of values without a connection, for tests and fuzzing.

use syshandle_types::describe::owned::Description;
use syshandle_types::{BorrowedHandle, Declaration, DecodeError, Decoder, Encoder, Limits};
use syshandle_types::{OwnedHandle, ProofError, Prove};

use crate::client::Call;
use crate::schema::Schema;
use crate::{Error, Value};

/// Decodes the result of a method, which has no handles.
///
/// # Errors
/// The bytes are not a result of the method.
pub fn read_result(
    description: &Description,
    method: &str,
    bytes: &[u8],
) -> Result<Value, Option<DecodeError>> {
    let schema = Schema::new(description.clone());
    let arguments: Vec<_> = match description.method(method) {
        Some(number) => {
            let parameters = &description.methods[number as usize].parameters;
            parameters.iter().map(|_| Value::Unit).collect()
        }
        None => return Err(None),
    };
    let call = Call::of(&schema, method, &arguments).map_err(|_| None)?;
    let mut input = Decoder::new(bytes, Vec::new(), &NoHandles);
    let read = call.read(&mut input, false)?;
    input.finish()?;
    read.map_err(|_| None)
}

/// Checks and encodes the arguments of a method, which have no handles.
///
/// # Errors
/// The errors of [`DynamicClient::call`](crate::DynamicClient::call) before a call is sent.
pub fn write_arguments(
    description: &Description,
    method: &str,
    arguments: &[Value],
) -> Result<Vec<u8>, Error> {
    let schema = Schema::new(description.clone());
    let call = Call::of(&schema, method, arguments)?;
    let mut out = Encoder::new(Vec::new(), Limits::default());
    call.write(&mut out)?;
    let written = out.finish();
    written.map(|(bytes, _)| bytes).map_err(|error| Error::Argument(error.to_string()))
}

/// Refuses every handle.
struct NoHandles;

impl Prove for NoHandles {
    fn prove(
        &self,
        _: BorrowedHandle<'_>,
        _: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        Err(ProofError::Unknown("no handle is expected".to_owned()))
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}
