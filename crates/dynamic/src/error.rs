//! Errors of dynamic calls.

use std::fmt;

use crate::Value;

/// The error of a dynamic client.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Connecting or a call failed.
    Call(syshandle::Error),
    /// An argument does not match the description, or the interface does not have the method. The
    /// call was not sent.
    Argument(String),
    /// The method failed with an error of its own type.
    Method(Value),
}

impl From<syshandle::Error> for Error {
    fn from(error: syshandle::Error) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Argument(text) => f.write_str(text),
            Self::Method(value) => write!(f, "the method failed: {value:?}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => error.source(),
            _ => None,
        }
    }
}
