//! A reference to the called method, which decodes the reply and adds the method's name to errors.

use std::fmt;

use syshandle_os::Declaration;
use syshandle_types::describe::Interface as Description;
use syshandle_types::{Decode, DecodeError, Decoder, EncodeError, FieldPath};
use syshandle_wire::{Fault, Status};

use crate::{CallError, Error, ErrorKind, Result};

/// A method of an interface, identified by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MethodRef {
    pub(crate) interface: &'static Description,
    pub(crate) method: u32,
}

impl MethodRef {
    /// Decodes a reply.
    pub(crate) fn read<T: Decode, E: Decode>(
        self,
        declared: Option<Declaration>,
        status: Status,
        mut input: Decoder<'_>,
    ) -> Result<T, CallError<E>> {
        input = input.of_method(self.interface, self.method);
        let wrong = |error: DecodeError| self.wrong_result(error);
        match status {
            Status::Fault => {
                let fault = Fault::decode(&mut input).map_err(wrong)?;
                input.finish().map_err(wrong)?;
                Err(self.told(&fault).into())
            }
            Status::Done => {
                let value = input.field(declared).map_err(wrong)?;
                input.finish().map_err(wrong)?;
                Ok(value)
            }
            Status::Failed => {
                let error = input.field(None).map_err(wrong)?;
                input.finish().map_err(wrong)?;
                Err(CallError::Method(error))
            }
        }
    }

    /// Returns the error of a call whose result can't be decoded.
    pub(crate) fn wrong_result(self, error: DecodeError) -> Error {
        let place = match error.path.as_str() {
            "" => "result".to_owned(),
            path => format!("result `{path}`"),
        };
        self.name(Error::from_fault(&Fault::from(error)).at(&place).maybe_ran())
    }

    /// Returns the result of a method that has no error type of its own.
    pub(crate) fn without_error<T>(self, result: Result<T, CallError<()>>) -> Result<T> {
        result.map_err(|error| match error {
            CallError::Call(error) => error,
            // The server violates the interface: this method has no error type.
            CallError::Method(()) => {
                let text = "an error without a type";
                self.name(Error::detected(ErrorKind::Malformed, text).maybe_ran())
            }
        })
    }

    /// Adds the method's name to an error.
    pub(crate) fn name(self, error: Error) -> Error {
        // An untyped client has no names.
        if self.interface.name.is_empty() { error } else { error.at(&self.to_string()) }
    }

    /// Returns the error of a call whose arguments can't be sent.
    pub(crate) fn unsendable(self, error: EncodeError) -> Error {
        let EncodeError { parameter, path, kind } = error;
        self.name_place(parameter, &path, kind.into())
    }

    /// Adds the method's name to an error, and if there is an index, the path within that
    /// parameter.
    fn name_place(self, index: Option<u16>, path: &FieldPath, error: Error) -> Error {
        let described = self.interface.methods.get(self.method as usize);
        let parameter = described
            .zip(index)
            .and_then(|(method, index)| method.parameters.get(usize::from(index)));
        self.name(match parameter {
            Some(parameter) => error.at(&format!("parameter `{}`", path.within(parameter.name))),
            None => match index {
                Some(index) => error.at(&format!("parameter {}", path.within(&index.to_string()))),
                // The encoder of an untyped client names the parameter in the path.
                None if !path.as_str().is_empty() => {
                    error.at(&format!("parameter `{}`", path.as_str()))
                }
                None => error,
            },
        })
    }

    /// Adds the method's name and the place of a stream to an error of the stream.
    pub(crate) fn stream_error(self, parameter: Option<u16>, error: Error) -> Error {
        match parameter {
            Some(_) => self.name_place(parameter, &FieldPath::default(), error),
            None => self.name(error.at("result")),
        }
    }

    /// Converts a fault that the server's runtime sent to an error that names this method.
    pub(crate) fn told(self, fault: &Fault) -> Error {
        let error = Error::from_fault(fault);
        match place_of(fault) {
            Some((parameter, path)) => self.name_place(parameter, path, error),
            None => self.name(error),
        }
    }
}

/// Returns the index of the parameter that a fault concerns, if known, and the path within it.
pub(crate) fn place_of(fault: &Fault) -> Option<(Option<u16>, &FieldPath)> {
    match fault {
        Fault::WrongHandle { parameter, path, .. }
        | Fault::Incompatible { parameter, path, .. }
        | Fault::Malformed { parameter, path, .. }
        | Fault::Unproven { parameter, path, .. } => Some((*parameter, path)),
        _ => None,
    }
}

/// Formats as `Interface::method`.
impl fmt::Display for MethodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.interface.name)?;
        match self.interface.methods.get(self.method as usize) {
            Some(method) => write!(f, "::{}", method.name),
            None => Ok(()),
        }
    }
}
