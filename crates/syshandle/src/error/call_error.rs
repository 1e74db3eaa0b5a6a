//! Errors of methods with an error type of their own.

use std::error::Error as StdError;
use std::{fmt, io};

use syshandle_types::Printable;

use super::Error;

/// The error of a method with an error type of its own.
///
/// The client's method returns this type. The server's method returns it too if it may refuse a
/// call: see [`interface`](crate::interface).
// Exhaustive, because programs match both variants, and a call can't fail in a third way.
#[derive(Debug)]
pub enum CallError<E> {
    /// The method ran and returned this error.
    Method(E),
    /// The call failed.
    Call(Error),
}

/// Converts a failure of the call. [`Error::new`] creates one.
impl<E> From<Error> for CallError<E> {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl<E> From<io::Error> for CallError<E> {
    fn from(error: io::Error) -> Self {
        Self::Call(error.into())
    }
}

/// The text of a method's error comes from the server, and is displayed as [`Printable`].
impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(error) => Printable(error).fmt(f),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Method(error) => error.source(),
            Self::Call(error) => error.source(),
        }
    }
}
