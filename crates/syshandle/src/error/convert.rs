//! Conversions of other errors to [`Error`].

use std::error::Error as StdError;
use std::io;

use syshandle_os::raw_os_error;
use syshandle_types::{EncodeErrorKind, IoCause};
use syshandle_wire::{OpenError, Violation};

use super::cause::IoErrorCause;
use super::{Error, ErrorKind};

/// Converts a system error that occurred in a method or elsewhere in the user's program.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::System,
        };
        let text = error.to_string();
        let mut new = Self::detected(kind, text).maybe_ran();
        new.0.io = Some(IoCause::new(raw_os_error(&error), error.kind()));
        if error.source().is_some() { new.because(IoErrorCause(error)) } else { new }
    }
}

impl From<EncodeErrorKind> for Error {
    fn from(reason: EncodeErrorKind) -> Self {
        let kind = match &reason {
            EncodeErrorKind::TooManyBytes { .. }
            | EncodeErrorKind::TooManyHandles { .. }
            | EncodeErrorKind::TooManyEntries
            | EncodeErrorKind::TooDeep => ErrorKind::TooLarge,
            EncodeErrorKind::UnknownVariant { .. } => ErrorKind::Incompatible,
            EncodeErrorKind::Value(_) => ErrorKind::Malformed,
            _ => ErrorKind::System,
        };
        let error = Self::detected(kind, reason.to_string());
        match reason {
            EncodeErrorKind::Handle(cause) => error.because(cause),
            _ => error,
        }
    }
}

impl From<syshandle_registry::Error> for Error {
    fn from(error: syshandle_registry::Error) -> Self {
        let kind = error.kind().into();
        match error {
            syshandle_registry::Error::Io(error) => error.into(),
            syshandle_registry::Error::Described { text, source, .. } => {
                let error = Self::detected(kind, text);
                match source {
                    Some(source) => error.because(source),
                    None => error,
                }
            }
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::detected(ErrorKind::Violation, "the server violated the protocol").because(violation)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused(fault) => Self::from_fault(&fault),
            OpenError::Violation(violation) => violation.into(),
        }
    }
}
