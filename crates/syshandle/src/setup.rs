//! Errors of the setup of a server or an object, and of values that another process made.

use std::io;

use syshandle_os::{remedy, without_call};

use crate::{Error, ErrorKind};

/// Returns a function that creates the error of a failed system call. The error names the object
/// that can't be made, the call, and the remedy.
pub(crate) fn failed(
    call: &'static str,
    what: &'static str,
) -> impl FnOnce(io::Error) -> Error + Copy {
    move |error| {
        let text = match remedy(call, &error) {
            Some(remedy) => format!("{what}: {call} failed, because {remedy}"),
            None => format!("{what}: {call} failed"),
        };
        Error::detected(ErrorKind::System, text).because(without_call(error))
    }
}

/// Returns the error for using `what` in a process that did not create it (a forked copy).
#[cold]
pub(crate) fn other_process(what: &str) -> Error {
    let text = format!(
        "the {what} belongs to the process that this one was forked from: make one in this process"
    );
    Error::detected(ErrorKind::OtherProcess, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_system_call_once_with_the_remedy_and_the_cause() {
        for errno in [1, 24] {
            let system = || io::Error::from_raw_os_error(errno);
            let error = failed("epoll_create1", "no event loop can be made")(system());
            let text = format!("{error:#}");
            let remedy = remedy("epoll_create1", &system()).unwrap();
            let expected = format!(
                "no event loop can be made: epoll_create1 failed, because {remedy}: {}",
                system()
            );
            assert_eq!(text, expected);
            assert_eq!(error.raw_os_error(), Some(errno));
        }
    }
}
