//! Errors of system calls that include the name of the call and a remedy.

use std::{error, fmt, io};

use crate::sys;

/// The error of a system call together with the name of the call. It becomes the source of an
/// [`io::Error`] of the same kind.
#[derive(Debug)]
struct FailedCall {
    name: &'static str,
    error: io::Error,
}

/// Returns a function that adds the name of the system call to an error.
pub(crate) fn failed<E: Into<io::Error>>(name: &'static str) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), FailedCall { name, error })
    }
}

/// Returns the OS error number, also of an error to which a system call's name was added.
pub fn raw_os_error(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| named(error)?.error.raw_os_error())
}

/// Removes the name of the system call from an error, for a text that already contains it.
pub fn without_call(error: io::Error) -> io::Error {
    match named(&error).and_then(|named| named.error.raw_os_error()) {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => error,
    }
}

/// Returns a text about what an error means and what to do about it. Pass only system calls whose
/// arguments don't come from a peer.
pub fn remedy(call: &str, error: &io::Error) -> Option<&'static str> {
    sys::remedy(call, raw_os_error(error)?)
}

fn named(error: &io::Error) -> Option<&FailedCall> {
    error.get_ref()?.downcast_ref()
}

impl fmt::Display for FailedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, error } = self;
        match remedy(name, error) {
            Some(remedy) => write!(f, "{name} failed, because {remedy}: {error}"),
            None => write!(f, "{name} failed: {error}"),
        }
    }
}

impl error::Error for FailedCall {}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_system_call_and_the_remedy_and_keeps_its_kind_and_number() {
        for (errno, part) in [
            (libc::EPERM, "seccomp"),
            (libc::ENOSYS, "seccomp"),
            (libc::EMFILE, "RLIMIT_NOFILE"),
            (libc::ENFILE, "fs.file-max"),
            (libc::ENOMEM, "memory"),
            (libc::EINVAL, "pidfd_open failed: Invalid argument (os error 22)"),
        ] {
            let system = || io::Error::from_raw_os_error(errno);
            let error = failed("pidfd_open")(system());
            let text = error.to_string();
            assert!(text.starts_with("pidfd_open failed") && text.contains(part), "{text}");
            assert!(text.ends_with(&system().to_string()), "{text}");
            assert_eq!((error.kind(), raw_os_error(&error)), (system().kind(), Some(errno)));
            assert_eq!(without_call(error).raw_os_error(), Some(errno));
        }
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(remedy("write", &full), None);
        assert!(remedy("epoll_ctl", &full).is_some_and(|text| text.contains("max_user_watches")));
    }
}
