//! Tokens, which are user namespaces.
#![expect(unsafe_code, reason = "code that runs between fork and exec")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::StatxFlags;
use rustix::io::Errno;

use super::process::ended;
use super::stat::stat;
use super::{check, ioctl, proc};
use crate::UserId;

pub(crate) fn current() -> io::Result<OwnedFd> {
    match proc::open_namespace("/proc/self/ns/user") {
        Ok(namespace) => Ok(namespace),
        Err(Errno::NOENT) => {
            let what = "this process's user namespace is opened through /proc, which isn't mounted";
            Err(io::Error::new(ErrorKind::Unsupported, what))
        }
        Err(Errno::OPNOTSUPP) => Err(proc::explained(Errno::OPNOTSUPP)),
        Err(error) => {
            let error = io::Error::from(error);
            let what = format!("/proc/self/ns/user can't be opened: {error}");
            Err(io::Error::new(error.kind(), what))
        }
    }
}

pub(crate) fn of(process: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    ioctl::user_namespace(process).map_err(|error| {
        let (kind, what) = match Errno::from_io_error(&error) {
            Some(Errno::NOTTY | Errno::INVAL) => {
                (ErrorKind::Unsupported, "asking a process for its user namespace needs Linux 6.11")
            }
            Some(Errno::SRCH) => return ended("process"),
            Some(Errno::PERM | Errno::ACCESS) => (
                ErrorKind::PermissionDenied,
                "the user namespace of a process that this one may not trace is not available",
            ),
            _ => return error,
        };
        io::Error::new(kind, what)
    })
}

pub(crate) fn owner(namespace: BorrowedFd<'_>) -> io::Result<UserId> {
    ioctl::namespace_owner(namespace).map(UserId::from_kernel)
}

pub(crate) fn id(namespace: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(stat(namespace, StatxFlags::INO)?.inode)
}

/// Makes the command run its program in the user namespace. The command takes ownership of the
/// handle.
pub(crate) fn enter(command: &mut Command, namespace: OwnedFd) {
    let enter = move || -> io::Result<()> {
        // SAFETY: the call accesses no memory. The closure owns the descriptor, so it is open.
        check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWUSER) }).map(drop)
    };
    // SAFETY: the closure makes one system call. Neither it nor creating an `io::Error` from
    // `errno` allocates memory.
    unsafe { command.pre_exec(enter) };
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::process::{Child, Stdio};

    use super::*;
    use crate::{Declaration, Kind, Object, Process, ProofFailure, Token, identify, prove};

    /// Starts a process in its own user namespace, which runs until its standard input ends.
    /// Returns `None` and prints the reason if that isn't possible.
    fn elsewhere(options: &[&str]) -> Option<(Child, Token)> {
        let mut child = Command::new("unshare")
            .args(options)
            .args(["sh", "-c", "echo; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .inspect_err(|error| println!("skipped: {error}"))
            .ok()?;
        let mut line = [0];
        let said = io::Read::read(child.stdout.as_mut()?, &mut line);
        if !matches!(said, Ok(1)) {
            println!("skipped: no user namespace can be made");
            return None;
        }
        match Token::of(&Process::of(&child).unwrap()) {
            Ok(token) => Some((child, token)),
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn a_token_is_a_user_namespace_and_no_other() {
        let token = Token::current().unwrap();
        assert_eq!(identify(token.as_fd()).unwrap().object, Object::Token);
        assert!(prove(token.as_fd(), &Declaration::kind(Kind::Token)).is_ok());
        let other = std::fs::File::open("/proc/self/ns/net").unwrap();
        let refused = prove(other.as_fd(), &Declaration::kind(Kind::Token)).unwrap_err();
        assert!(
            matches!(refused, ProofFailure::Mismatch(it) if it.received.object == Object::Other)
        );
    }

    #[test]
    fn a_child_enters_the_namespace_of_another_process() {
        let Some((mut child, token)) = elsewhere(ROOT_INSIDE) else { return };
        assert_ne!(token.id().unwrap(), Token::current().unwrap().id().unwrap());
        assert_eq!(token.owner().unwrap(), UserId::current());
        let mut command = Command::new("readlink");
        token.enter(command.arg("/proc/self/ns/user")).unwrap();
        let output = command.output().unwrap();
        let link = String::from_utf8(output.stdout).unwrap();
        assert_eq!(link.trim(), format!("user:[{}]", token.id().unwrap()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn only_root_of_the_namespace_has_capabilities_in_it() {
        for (options, has_any) in [(ROOT_INSIDE, true), (NOBODY_INSIDE, false)] {
            let Some((mut child, token)) = elsewhere(options) else { return };
            let mut command = Command::new("sed");
            command.args(["-n", "s/^CapEff:\\s*//p", "/proc/self/status"]);
            token.enter(&mut command).unwrap();
            let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
            let capabilities = u64::from_str_radix(output.trim(), 16).unwrap();
            assert_eq!(capabilities != 0, has_any, "{options:?}");
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    const ROOT_INSIDE: &[&str] = &["--user", "--map-root-user"];
    const NOBODY_INSIDE: &[&str] = &["--user"];

    #[test]
    fn entering_the_present_namespace_fails_to_start() {
        let mut command = Command::new("true");
        Token::current().unwrap().enter(&mut command).unwrap();
        assert_eq!(command.status().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
