//! What can be wrong with a call's values.

use std::fmt;

use syshandle_wire::{EncodeError, Fault, FieldPath, Limits, Unsendable};

use crate::{BadAddress, OutOfMemory};

/// A value can't be brought between our own form and COM's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodeError {
    /// The index of the parameter, where there is one.
    pub parameter: Option<u16>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// COM can't call the method at all.
    Missing(String),
    /// A text has a zero in it, where COM's would end.
    ZeroInText,
    /// A text isn't UTF-16.
    NotUtf16,
    /// A pointer is NULL where a value has to be.
    Null,
    /// A pointer points nowhere.
    BadAddress(BadAddress),
    /// There is no memory for it.
    OutOfMemory(OutOfMemory),
    /// It isn't a value of its type.
    Value(&'static str),
    /// NULL, INVALID_HANDLE_VALUE, or a number that stands for the process itself.
    NoHandle,
    /// A handle of a kind that isn't declared, or of none that is known.
    UndeclaredHandle,
    /// It has more bytes than one call may.
    TooManyBytes,
    /// It has more handles than one call may.
    TooManyHandles,
    /// The bytes and handles in our own form aren't what the interface describes.
    Encoded,
}

impl TranscodeError {
    /// What the server says of a result that can't be sent.
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

/// What the server says of arguments that aren't what the interface says.
impl From<TranscodeError> for Fault {
    fn from(error: TranscodeError) -> Self {
        Self::Malformed {
            parameter: error.parameter,
            path: FieldPath::default(),
            text: error.problem.to_string(),
        }
    }
}

/// What the client says of arguments that can't be sent.
impl From<TranscodeError> for EncodeError {
    fn from(error: TranscodeError) -> Self {
        let limits = Limits::default();
        let unsendable = match error.problem {
            Problem::TooManyBytes => Unsendable::TooManyBytes { limit: limits.message_bytes_max },
            Problem::TooManyHandles => Unsendable::TooManyHandles { limit: limits.handles_max },
            problem => Unsendable::Value(problem.to_string()),
        };
        Self::new(error.parameter, unsendable)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(why) => write!(f, "COM can't call this method: {why}"),
            Self::ZeroInText => f.write_str("the text has a zero in it, where COM's texts end"),
            Self::NotUtf16 => f.write_str("the text isn't UTF-16"),
            Self::Null => f.write_str("a pointer is NULL"),
            Self::BadAddress(error) => error.fmt(f),
            Self::OutOfMemory(error) => error.fmt(f),
            Self::Value(expected) => write!(f, "the value is no {expected}"),
            Self::NoHandle => f.write_str("the value is no handle"),
            Self::UndeclaredHandle => f.write_str("the handle is of no kind that is declared"),
            Self::TooManyBytes => {
                write!(f, "more than {} bytes in one call", Limits::ARENA_BYTES)
            }
            Self::TooManyHandles => {
                write!(f, "more than {} handles in one call", Limits::HANDLES_MAX)
            }
            Self::Encoded => f.write_str("the values aren't what their type describes"),
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
