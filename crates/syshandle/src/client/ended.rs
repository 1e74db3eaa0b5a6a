//! Why a connection gives no more replies, as the errors of its calls.

use std::io;

use syshandle_wire::{Fault, Violation};

use crate::{Error, ErrorKind};

/// Why there will be no more replies.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// The server said good-bye: what it hadn't answered it didn't run.
    Closed,
    /// The server is gone without a word.
    Died,
    /// The server doesn't serve this connection.
    Refused(Fault),
    /// The server broke the rules, so we ended it.
    Broken(Violation),
    /// The system failed us.
    Failed(io::ErrorKind),
}

impl Ended {
    /// The error of a call that was sent, or not.
    pub(super) fn to_error(&self, end: OtherEnd, sent: bool) -> Error {
        let error = match self {
            Self::Closed => {
                // It answers all that it runs before it goes.
                return Error::new(ErrorKind::Disconnected, end.has_ended());
            }
            // What it says of the connection, it may say while a call runs.
            Self::Refused(fault) if sent => return Error::from_fault(fault),
            Self::Refused(fault) => return Error::from_fault(fault).did_not_run(),
            Self::Died => Error::new(ErrorKind::Disconnected, end.died()),
            Self::Broken(violation) => Error::from(*violation),
            Self::Failed(kind) => Error::new(ErrorKind::System, "the connection failed")
                .because(io::Error::from(*kind)),
        };
        if sent { error.maybe_ran() } else { error }
    }
}

/// What is at the other end of a connection, for texts.
#[derive(Clone, Copy, Debug)]
pub(super) enum OtherEnd {
    /// The server of a class.
    Server,
    /// The process of an object that came as a reference: a server, or a client with a callback.
    Object,
}

impl OtherEnd {
    fn died(self) -> &'static str {
        match self {
            Self::Server => "the server died",
            Self::Object => "the process that serves the object died",
        }
    }

    fn has_ended(self) -> &'static str {
        match self {
            Self::Server => "the server has ended",
            Self::Object => "the process that serves the object has ended",
        }
    }
}

impl From<Violation> for Ended {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

/// The system failed us, before anything was asked of the server.
pub(super) fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::System, "the connection failed").because(error)
}
