//! Tokens: the authority with which processes act.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a user namespace ([user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html)) | an [access token](https://learn.microsoft.com/windows/win32/secauthz/access-tokens) |
//! | proof | `statx` shows the device of namespaces, and `NS_GET_NSTYPE` returns a user namespace | the object's type is `Token` |
//! | rights | `read`. The kernel checks the capabilities and the user of a process that enters the namespace, and not the handle | `read` (`TOKEN_QUERY`): enforced by the kernel on the handle |
//! | `try_clone` | the same namespace | the same token |
//! | MIDL | | `sh_token` |
//!
//! On Linux, a process can change its user namespace only while it has a single thread. So a child
//! process enters the namespace before it executes its program. For the user and group of a
//! *process*, see `Process::credentials`. On Windows, this crate doesn't impersonate the user of a
//! token.

use std::io;

use crate::owned::impl_owned;
use crate::{Declaration, Handle, Kind, OwnedHandle, Process, sys};

/// A user namespace on Linux, an access token on Windows.
#[derive(Debug)]
pub struct Token(OwnedHandle);

impl_owned!(Token, "token", Declaration::kind(Kind::Token));

impl Token {
    /// Returns the token of this process.
    ///
    /// # Errors
    /// On Linux: `Unsupported` if `/proc` isn't mounted, and an error if this process can't open
    /// more file descriptors. On Windows: the errors of `OpenProcessToken`.
    pub fn current() -> io::Result<Self> {
        sys::token::current().map(Self)
    }

    /// Returns the token of another process (Linux 6.11).
    ///
    /// # Errors
    /// On Linux, returns the errors of `PIDFD_GET_USER_NAMESPACE` in
    /// [`ioctl_pidfd(2)`](https://man7.org/linux/man-pages/man2/ioctl_pidfd.2.html):
    /// `PermissionDenied` if this process may not trace the other one; `NotFound` if that has
    /// ended; `Unsupported` on an older kernel. On Windows, returns the errors of
    /// `OpenProcessToken`.
    pub fn of(process: &Process) -> io::Result<Self> {
        sys::token::of(process.as_handle()).map(Self)
    }
}

/// Linux only: access to the namespace.
#[cfg(not(windows))]
impl Token {
    /// Returns the user who created the namespace and therefore has all capabilities in it.
    ///
    /// # Errors
    /// Returns the errors of `NS_GET_OWNER_UID` in
    /// [`ioctl_nsfs(2)`](https://man7.org/linux/man-pages/man2/ioctl_nsfs.2.html).
    pub fn owner(&self) -> io::Result<crate::UserId> {
        sys::token::owner(self.as_handle())
    }

    /// Returns the inode number of the namespace. Two tokens with the same number refer to the same
    /// namespace.
    ///
    /// # Errors
    /// Returns the errors of `statx(2)`.
    pub fn id(&self) -> io::Result<u64> {
        sys::token::id(self.as_handle())
    }

    /// Makes the command run its program in the namespace.
    ///
    /// The program runs as the user of this process, for which the namespace may define another
    /// user ID. If that ID is zero, the program has all capabilities in the namespace; otherwise it
    /// has none. A user without an ID in the namespace appears there as the overflow ID (65534 by
    /// default).
    ///
    /// Starting the command fails with `PermissionDenied` if this process may not enter the
    /// namespace, and with `InvalidInput` if it is already in the namespace.
    ///
    /// # Errors
    /// Fails if this process can't open more file descriptors.
    pub fn enter(&self, command: &mut std::process::Command) -> io::Result<()> {
        sys::token::enter(command, self.0.try_clone()?);
        Ok(())
    }
}

/// Windows only: the user.
#[cfg(windows)]
impl Token {
    /// Returns the user of the token as a security identifier: `S-1-5-21-…`.
    ///
    /// # Errors
    /// Returns the errors of `GetTokenInformation`, for example if the handle lacks the right.
    pub fn user(&self) -> io::Result<String> {
        sys::token::user(self.as_handle())
    }
}
