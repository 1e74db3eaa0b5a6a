//! Errors of the system calls by which a server, or an object of this process, is set up.

use std::io;

use crate::{Error, ErrorKind};

/// Returns a function that describes the failure of a system call: what can't be made, which call
/// failed, and the remedy.
pub(crate) fn failed(
    call: &'static str,
    what: &'static str,
) -> impl FnOnce(io::Error) -> Error + Copy {
    move |error| {
        let text = match remedy(&error) {
            Some(remedy) => format!("{what}: {call} failed, because {remedy}"),
            None => format!("{what}: {call} failed"),
        };
        Error::new(ErrorKind::System, text).because(error)
    }
}

/// Returns what the failure of a system call without arguments of a peer means, and what helps.
fn remedy(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        EMFILE => {
            "this process has no descriptor left (limit: RLIMIT_NOFILE, LimitNOFILE= of a systemd unit)"
        }
        ENFILE => "the system has no descriptor left (limit: fs.file-max)",
        ENOMEM | ENOBUFS => "the system has no memory left for it",
        ENOSPC => "this user has no watch left (limit: fs.epoll.max_user_watches)",
        EPERM | EACCES | ENOSYS => {
            "this process may not make the call: allow it in the seccomp filter or the security module \
             that confines the process"
        }
        _ => return None,
    })
}

// Of `errno(3)`.
const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;
const ENOBUFS: i32 = 105;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_system_has_a_remedy_of_its_own() {
        for (errno, part) in [
            (EPERM, "seccomp"),
            (ENOSYS, "seccomp"),
            (EMFILE, "RLIMIT_NOFILE"),
            (ENFILE, "fs.file-max"),
            (ENOSPC, "fs.epoll.max_user_watches"),
            (ENOMEM, "memory"),
        ] {
            let error = failed("epoll_create1", "no event loop can be made")(
                io::Error::from_raw_os_error(errno),
            );
            let text = error.to_string();
            assert!(text.starts_with("no event loop can be made: epoll_create1 failed"), "{text}");
            assert!(text.contains(part), "{text}");
            assert_eq!(error.raw_os_error(), Some(errno));
        }
    }
}
