//! Errors in the values of a call or reply.

use std::fmt;

use syshandle_types::{EncodeError, EncodeErrorKind, FieldPath, Limits};
use syshandle_wire::Fault;

use crate::memory::{BadAddress, OutOfMemory};

/// The error for a value that can't be converted to or from COM's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeError {
    /// The index of the parameter that contains the value, if any.
    pub parameter: Option<u16>,
    /// The cause of the error.
    pub problem: Problem,
}

/// The cause of a [`TranscodeError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// COM can't call the method. Contains the reason.
    Unsupported(String),
    /// The string contains a zero, which would terminate it in COM.
    ZeroInText,
    /// The string isn't valid UTF-16.
    NotUtf16,
    /// A required pointer is NULL.
    Null,
    /// A pointer is invalid.
    BadAddress(BadAddress),
    /// An allocation failed.
    OutOfMemory(OutOfMemory),
    /// The value is not valid for this type.
    Value(&'static str),
    /// The handle is NULL, `INVALID_HANDLE_VALUE` or a pseudo handle.
    NoHandle,
    /// The handle's kind is not declared or not known.
    UndeclaredHandle,
    /// The call exceeds the maximum number of bytes.
    TooManyBytes,
    /// The call exceeds the maximum number of handles.
    TooManyHandles,
    /// The encoded bytes and handles don't match the interface description.
    Encoded,
}

impl TranscodeError {
    /// Converts an error in a result to the fault that the client receives.
    pub(crate) fn into_unsendable(self) -> Fault {
        let text = self.to_string();
        match self.problem {
            Problem::TooManyBytes | Problem::TooManyHandles => Fault::TooLarge { text },
            _ => Fault::Unsendable { text },
        }
    }
}

impl From<Problem> for TranscodeError {
    fn from(problem: Problem) -> Self {
        Self { parameter: None, problem }
    }
}

impl From<BadAddress> for Problem {
    fn from(error: BadAddress) -> Self {
        Self::BadAddress(error)
    }
}

impl From<OutOfMemory> for Problem {
    fn from(error: OutOfMemory) -> Self {
        Self::OutOfMemory(error)
    }
}

/// Converts an error in received arguments to the fault that the client receives.
impl From<TranscodeError> for Fault {
    fn from(error: TranscodeError) -> Self {
        Self::Malformed {
            parameter: error.parameter,
            path: FieldPath::default(),
            text: error.problem.to_string(),
        }
    }
}

/// Converts an error in the arguments of a call to the error that the client program gets.
impl From<TranscodeError> for EncodeError {
    fn from(error: TranscodeError) -> Self {
        let limits = Limits::default();
        let unsendable = match error.problem {
            Problem::TooManyBytes => {
                EncodeErrorKind::TooManyBytes { limit: limits.message_bytes_max }
            }
            Problem::TooManyHandles => {
                EncodeErrorKind::TooManyHandles { limit: limits.handles_max }
            }
            problem => EncodeErrorKind::Value(problem.to_string()),
        };
        Self::new(error.parameter, unsendable)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(why) => write!(f, "COM can't call this method: {why}"),
            Self::ZeroInText => {
                f.write_str("the string contains a zero, which terminates a COM string")
            }
            Self::NotUtf16 => f.write_str("the string isn't UTF-16"),
            Self::Null => f.write_str("a pointer is NULL"),
            Self::BadAddress(error) => error.fmt(f),
            Self::OutOfMemory(error) => error.fmt(f),
            Self::Value(expected) => write!(f, "the value is not a valid {expected}"),
            Self::NoHandle => f.write_str("the value is not a handle"),
            Self::UndeclaredHandle => f.write_str("the handle's kind isn't declared"),
            Self::TooManyBytes => {
                write!(f, "the limit of {} bytes in one call is exceeded", Limits::ARENA_BYTES)
            }
            Self::TooManyHandles => {
                write!(f, "the limit of {} handles in one call is exceeded", Limits::HANDLES_MAX)
            }
            Self::Encoded => f.write_str("the encoded values don't match the interface"),
        }
    }
}

impl fmt::Display for TranscodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parameter {
            Some(index) => write!(f, "parameter {index}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for TranscodeError {}
