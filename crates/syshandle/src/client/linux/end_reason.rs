//! Reasons why a connection gives no more replies, and the errors of its calls.

use std::io;
use std::time::Duration;

use syshandle_wire::{Fault, Violation};

use crate::ring;
use crate::{Error, ErrorKind};

/// Reason why there will be no more replies.
#[derive(Clone, Debug)]
pub(super) enum EndReason {
    /// The server sent `Bye`. Calls without a reply did not run.
    Closed,
    /// The server ended without a message.
    Died,
    /// The server takes no more calls, and reported no reason in time.
    Deaf,
    /// The server refused the connection before it ran any call, or ended it after it answered every
    /// call that ran.
    NotServed(Fault),
    /// The server ended the connection with a fault, and may have run calls.
    Refused(Fault),
    /// The server violated the protocol, so the client ended the connection.
    Broken(Violation),
    /// A system call on this connection failed.
    Failed(io::ErrorKind),
}

impl EndReason {
    /// Returns the error of a call; `sent` tells whether its frame was sent.
    pub(super) fn to_error(&self, end: PeerName, sent: bool) -> Error {
        let error = match self {
            Self::Closed => {
                // The server answers every running call before it sends `Bye`.
                return Error::detected(ErrorKind::Disconnected, end.has_ended());
            }
            Self::NotServed(fault) => return Error::from_fault(fault).did_not_run(),
            // The drain timeout ended before the method did.
            Self::Refused(Fault::Draining) => {
                Error::detected(ErrorKind::Disconnected, end.was_stopped())
            }
            // The fault concerns the connection and does not tell whether a call ran.
            Self::Refused(fault) => Error::from_fault(fault).did_not_run(),
            Self::Deaf => {
                Error::detected(ErrorKind::Disconnected, "the server takes no more calls")
            }
            Self::Died => Error::detected(ErrorKind::Disconnected, end.died()),
            Self::Broken(violation) => Error::from(*violation),
            Self::Failed(kind) => Error::detected(ErrorKind::System, "the connection failed")
                .because(io::Error::from(*kind)),
        };
        if sent { error.maybe_ran() } else { error }
    }
}

impl EndReason {
    /// Returns the reason for an error of a receive.
    pub(super) fn of(error: &io::Error) -> Self {
        ring::violation(error).map_or(Self::Failed(error.kind()), Self::Broken)
    }

    /// Classifies a fault that ended the connection. Some faults say that the connection could not
    /// be opened. If such a fault comes before the first reply, no call ran.
    pub(super) fn refused(fault: Fault, has_replied: bool) -> Self {
        let could_not_open = matches!(
            fault,
            Fault::NotAllowed { .. }
                | Fault::NoSuchClass(_)
                | Fault::NoSuchInterface(_)
                | Fault::NoObject { .. }
        );
        // A server answers every running call before it reports that the object was withdrawn.
        let ran_none = could_not_open && !has_replied || fault == Fault::Withdrawn;
        if ran_none { Self::NotServed(fault) } else { Self::Refused(fault) }
    }
}

/// Name of the peer in error messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum PeerName {
    /// Server of a class.
    Server,
    /// Process of an object that was received as a reference: a server, or a client with a
    /// callback.
    Object,
}

impl PeerName {
    fn died(self) -> &'static str {
        match self {
            Self::Server => "the server died",
            Self::Object => "the process that serves the object died",
        }
    }

    fn was_stopped(self) -> &'static str {
        match self {
            Self::Server => "the server was stopped",
            Self::Object => "the process that serves the object was stopped",
        }
    }

    fn has_ended(self) -> &'static str {
        match self {
            Self::Server => "the server has ended",
            Self::Object => "the process that serves the object has ended",
        }
    }
}

impl From<Violation> for EndReason {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

/// Returns the error of a failed system call, before a call was sent.
pub(super) fn failed(error: io::Error) -> Error {
    Error::detected(ErrorKind::System, "the connection failed").because(error)
}

/// Longest wait for the reason why the server takes no more calls.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use syshandle_types::Guid;

    use super::*;

    #[test]
    fn a_call_that_was_sent_may_have_run_unless_the_server_says_that_none_did() {
        let busy = || Fault::Busy { limit: "handles".into() };
        let no_class = || Fault::NoSuchClass(Guid::NIL);
        for (ended, may_have_run) in [
            (EndReason::refused(busy(), true), true),
            (EndReason::refused(busy(), false), true),
            (EndReason::refused(Fault::Draining, false), true),
            (EndReason::refused(no_class(), true), true),
            (EndReason::refused(no_class(), false), false),
            (EndReason::refused(Fault::Withdrawn, true), false),
            (EndReason::Closed, false),
            (EndReason::Died, true),
            (EndReason::Deaf, true),
            (EndReason::Broken(Violation::TooLong), true),
            (EndReason::Failed(io::ErrorKind::Other), true),
        ] {
            assert_eq!(
                ended.to_error(PeerName::Server, true).may_have_run(),
                may_have_run,
                "{ended:?}"
            );
            assert!(!ended.to_error(PeerName::Server, false).may_have_run(), "{ended:?}");
        }
    }
}
