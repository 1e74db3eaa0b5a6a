//! The errors of calls that could not be sent.

use std::io;

use crate::{Error, ErrorKind};

/// Returns the error of a call for whose frame `sendmsg` failed. The call did not run.
///
/// The error depends on the error number and not on the kind of the [`io::Error`]. Two causes have
/// the same kind: a receiver that refuses handles, and a security module.
#[cold]
pub(crate) fn send_error(error: io::Error, has_handles: bool) -> Error {
    let (kind, text) = match error.raw_os_error() {
        Some(EPERM) if has_handles => (ErrorKind::NotAllowed, "the server doesn't accept handles"),
        Some(EACCES) if has_handles => {
            (ErrorKind::NotAllowed, "a security module forbids passing a handle to the server")
        }
        Some(ETOOMANYREFS) => (ErrorKind::Busy, TOO_MANY_OF_USER),
        _ if is_past_limit(&error) => return past_limit().because(error),
        Some(EBADF) => (ErrorKind::System, "a handle can't be sent: it was closed during the call"),
        _ if error.kind() == io::ErrorKind::FileTooLarge => return memory_error(error),
        Some(ENOMEM | ENOBUFS) => (ErrorKind::System, "the call can't be sent: no memory left"),
        _ => (ErrorKind::System, "the call can't be sent"),
    };
    Error::detected(kind, text).because(error)
}

/// Returns the error of a call for whose arguments no shared memory could be made. The call did not
/// run.
#[cold]
pub(crate) fn memory_error(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::FileTooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::System,
    };
    let text = "the call can't be sent: no shared memory can be made for its arguments";
    Error::detected(kind, text).because(error)
}

/// Returns the error of a call whose handles would exceed the limit of handles in flight.
#[cold]
pub(crate) fn past_limit() -> Error {
    let text = "the handles can't be sent: the server does not receive earlier ones";
    Error::detected(ErrorKind::Busy, text)
}

/// Returns whether a send failed because too many handles are in flight to the peer.
pub(crate) fn is_past_limit(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::QuotaExceeded && error.raw_os_error().is_none()
}

/// Error text for the kernel's limit of handles in flight.
pub(crate) const TOO_MANY_OF_USER: &str = "the handles can't be sent: too many descriptors of this user are in sockets where no process \
     has received them yet (limit: RLIMIT_NOFILE)";

// Error numbers from `errno(3)`.
const EPERM: i32 = 1;
const EBADF: i32 = 9;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const ENOBUFS: i32 = 105;
pub(crate) const ETOOMANYREFS: i32 = 109;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_not_to_send_has_an_error_of_its_own() {
        for (errno, kind, part) in [
            (EPERM, ErrorKind::NotAllowed, "doesn't accept handles"),
            (EACCES, ErrorKind::NotAllowed, "security module"),
            (ETOOMANYREFS, ErrorKind::Busy, "RLIMIT_NOFILE"),
            (ENOMEM, ErrorKind::System, "no memory"),
            (EBADF, ErrorKind::System, "closed"),
            (90, ErrorKind::System, "can't be sent: Message too long"),
        ] {
            let error = send_error(io::Error::from_raw_os_error(errno), true);
            assert_eq!((error.kind(), error.may_have_run()), (kind, false), "{error:#}");
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
        let past_limit = io::Error::new(io::ErrorKind::QuotaExceeded, "in flight");
        let error = send_error(past_limit, true);
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false), "{error:#}");
        let no_memfd = memory_error(io::Error::from_raw_os_error(EPERM));
        assert_eq!(no_memfd.kind(), ErrorKind::System, "{no_memfd:#}");
        for error in [io::ErrorKind::PermissionDenied.into(), io::Error::from_raw_os_error(EPERM)] {
            let error = send_error(error, false);
            assert_eq!(error.kind(), ErrorKind::System, "without handles: {error:#}");
        }
    }
}
