//! Tokens: the user namespaces in which processes run.
//!
//! | | |
//! |---|---|
//! | object | a user namespace ([user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html)) |
//! | proof | `statx` shows the device of namespaces, and `NS_GET_NSTYPE` returns a user namespace |
//! | rights | `read`. The capabilities and the user of a process decide whether it may enter, not the handle |
//! | `try_clone` | the same namespace |
//! | Windows | a token HANDLE, `sh_token` |
//!
//! A process can change its user namespace only while it has one thread. So a child enters a
//! namespace, before it executes its program. For the user and group of a *process*, see
//! [`Process::credentials`].

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use rustix::fs::StatxFlags;
use rustix::io::Errno;

use crate::handle::impl_handle;
use crate::sys::proc;
use crate::sys::{enter, ioctl, stat::stat};
use crate::system_call::{DUPLICATE, failed};
use crate::{Declared, Kind, Process, UserId};

/// A user namespace.
#[derive(Debug)]
pub struct Token(OwnedFd);

impl_handle!(Token => Declared::kind(Kind::Token));

impl Token {
    /// Returns the user namespace of this process.
    ///
    /// # Errors
    /// `Unsupported` without `/proc`; fails if no descriptor is left.
    pub fn current() -> io::Result<Self> {
        match proc::open_namespace("/proc/self/ns/user") {
            Ok(namespace) => Ok(Self(namespace)),
            Err(Errno::NOENT) => {
                let what =
                    "this process's user namespace is opened through /proc, which isn't mounted";
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

    /// Returns the user namespace of another process (Linux 6.11).
    ///
    /// # Errors
    /// Returns the errors of `PIDFD_GET_USER_NAMESPACE` in
    /// [`ioctl_pidfd(2)`](https://man7.org/linux/man-pages/man2/ioctl_pidfd.2.html):
    /// `PermissionDenied` for a process that this one may not trace; `NotFound` if it has ended;
    /// `Unsupported` on an older kernel.
    pub fn of(process: &Process) -> io::Result<Self> {
        ioctl::user_namespace(process.as_fd()).map(Self).map_err(|error| {
            let (kind, what) = match Errno::from_io_error(&error) {
                Some(Errno::NOTTY | Errno::INVAL) => (
                    ErrorKind::Unsupported,
                    "asking a process for its user namespace needs Linux 6.11",
                ),
                Some(Errno::SRCH) => (
                    ErrorKind::NotFound,
                    "the process has ended, or isn't visible in this namespace",
                ),
                Some(Errno::PERM | Errno::ACCESS) => (
                    ErrorKind::PermissionDenied,
                    "the user namespace of a process that this one may not trace is not available",
                ),
                _ => return error,
            };
            io::Error::new(kind, what)
        })
    }

    /// Returns the user who created the namespace, and so has all capabilities in it.
    ///
    /// # Errors
    /// Returns the errors of `NS_GET_OWNER_UID` in
    /// [`ioctl_nsfs(2)`](https://man7.org/linux/man-pages/man2/ioctl_nsfs.2.html).
    pub fn owner(&self) -> io::Result<UserId> {
        ioctl::namespace_owner(self.0.as_fd()).map(UserId::from_kernel)
    }

    /// Returns the number of the namespace on this machine. Two tokens with the same number refer
    /// to the same namespace.
    ///
    /// # Errors
    /// Returns the errors of `statx(2)`.
    pub fn id(&self) -> io::Result<u64> {
        Ok(stat(self.0.as_fd(), StatxFlags::INO)?.inode)
    }

    /// Makes the program of the command run in the namespace.
    ///
    /// The program runs as the same user, with the number that the user has in the namespace. If
    /// that number is zero, the program has all capabilities there; otherwise it has none. If the
    /// namespace doesn't map the user, the program runs as `nobody`.
    ///
    /// The command fails to start with `PermissionDenied` if this process may not enter the
    /// namespace, and with `InvalidInput` if it is in the namespace already.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn enter(&self, command: &mut Command) -> io::Result<()> {
        enter::enter_user_namespace(command, self.0.try_clone()?);
        Ok(())
    }

    /// Returns a second handle to the same namespace.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self).map_err(failed(DUPLICATE))
    }
}

impl AsFd for Token {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Token {
    fn from(handle: OwnedFd) -> Self {
        Self(handle)
    }
}

impl From<Token> for OwnedFd {
    fn from(token: Token) -> Self {
        token.0
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Stdio};

    use super::*;
    use crate::{Object, Unproven, identify, prove};

    /// Starts a process in its own user namespace, which runs until its input ends. Returns `None`,
    /// with the reason printed, if that isn't possible.
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
        assert_eq!(identify(token.as_fd()).unwrap().object, Object::UserNamespace);
        assert!(prove(token.as_fd(), &Declared::kind(Kind::Token)).is_ok());
        let other = std::fs::File::open("/proc/self/ns/net").unwrap();
        let refused = prove(other.as_fd(), &Declared::kind(Kind::Token)).unwrap_err();
        assert!(matches!(refused, Unproven::Mismatch(it) if it.received.object == Object::Other));
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
