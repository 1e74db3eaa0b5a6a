//! Errors of the registry.

use std::error::Error as StdError;
use std::{fmt, io};

use syshandle_types::Printable;

/// The result of an operation on the registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of an operation on the registry. Its text is [`Printable`].
#[derive(Debug)]
pub enum Error {
    /// An operation failed for a reason that this crate describes.
    Described {
        /// The kind of the failure.
        kind: ErrorKind,
        /// Description of the failure.
        text: String,
        /// The cause.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A system call failed, and its error describes the failure.
    Io(io::Error),
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No program is registered for the class.
    NotRegistered,
    /// The registration of the class is not valid.
    BadRegistration,
    /// Another user could change a file or folder that activation relies on.
    Insecure,
    /// There is no folder for sockets.
    NoRuntimeDirectory,
    /// This process lacks a permission.
    ActivationDenied,
    /// Another server already uses the socket path.
    AlreadyRunning,
    /// The registered program passed its socket to another process instead of serving itself.
    StartFailed,
    /// The server serves none of the classes.
    NoSuchClass,
    /// Another process holds the lock.
    Busy,
    /// A system call failed.
    System,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::Described { kind, text: Printable(text.into()).into_text(), source: None }
    }

    /// Sets the cause.
    pub(crate) fn because(self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match self {
            Self::Described { kind, text, .. } => {
                Self::Described { kind, text, source: Some(cause.into()) }
            }
            io @ Self::Io(_) => io,
        }
    }

    /// Prepends the place of the error to the text.
    #[cfg(not(windows))]
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Described { kind, text, source } => {
                let text = Printable(format!("{place}: {text}")).into_text();
                Self::Described { kind, text, source }
            }
            io @ Self::Io(_) => io,
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Described { kind, .. } => *kind,
            Self::Io(_) => ErrorKind::System,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Described { text, .. } => f.write_str(text),
            Self::Io(error) => Printable(error).fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Described { source, .. } => source.as_deref().map(|cause| cause as _),
            Self::Io(error) => error.source(),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
