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
    /// The server takes no more calls, and says no more in time.
    Deaf,
    /// The server doesn't serve this connection, and has served no call of it.
    NotServed(Fault),
    /// The server ended the connection with an error, after it had begun to serve calls.
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
            Self::NotServed(fault) => return Error::from_fault(fault).did_not_run(),
            // The drain timeout ended before the method did.
            Self::Refused(Fault::Draining) => {
                Error::new(ErrorKind::Disconnected, end.was_stopped())
            }
            // The fault is about the connection, so it doesn't tell of any call whether it ran.
            Self::Refused(fault) => Error::from_fault(fault).did_not_run(),
            Self::Deaf => Error::new(ErrorKind::Disconnected, "the server takes no more calls"),
            Self::Died => Error::new(ErrorKind::Disconnected, end.died()),
            Self::Broken(violation) => Error::from(*violation),
            Self::Failed(kind) => Error::new(ErrorKind::System, "the connection failed")
                .because(io::Error::from(*kind)),
        };
        if sent { error.maybe_ran() } else { error }
    }
}

impl Ended {
    /// The end by a refusal, of a server that has replied to calls or not. Some faults are about a
    /// connection that could not be opened: then no call ran.
    pub(super) fn refused(fault: Fault, has_replied: bool) -> Self {
        let could_not_open = matches!(
            fault,
            Fault::NotAllowed { .. }
                | Fault::NoSuchClass(_)
                | Fault::NoSuchInterface(_)
                | Fault::NoObject { .. }
        );
        if could_not_open && !has_replied { Self::NotServed(fault) } else { Self::Refused(fault) }
    }
}

/// Name of the peer in messages.
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

    fn was_stopped(self) -> &'static str {
        match self {
            Self::Server => "the server was stopped before the call ended",
            Self::Object => "the process that serves the object was stopped before the call ended",
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

#[cfg(test)]
mod tests {
    use syshandle_wire::{Guid, Ran};

    use super::*;

    #[test]
    fn a_call_that_was_sent_may_have_run_unless_the_server_says_that_none_did() {
        let busy = || Fault::Busy { limit: "handles".into() };
        let no_class = || Fault::NoSuchClass(Guid::NIL);
        for (ended, ran) in [
            (Ended::refused(busy(), true), Ran::Maybe),
            (Ended::refused(busy(), false), Ran::Maybe),
            (Ended::refused(Fault::Draining, false), Ran::Maybe),
            (Ended::refused(no_class(), true), Ran::Maybe),
            (Ended::refused(no_class(), false), Ran::No),
            (Ended::Closed, Ran::No),
            (Ended::Died, Ran::Maybe),
            (Ended::Deaf, Ran::Maybe),
            (Ended::Broken(Violation::TooLong), Ran::Maybe),
            (Ended::Failed(io::ErrorKind::Other), Ran::Maybe),
        ] {
            assert_eq!(ended.to_error(OtherEnd::Server, true).ran(), ran, "{ended:?}");
            assert_eq!(ended.to_error(OtherEnd::Server, false).ran(), Ran::No, "{ended:?}");
        }
    }
}
