//! Checks that other users can't change the files on which activation relies.
//!
//! A client starts a server only from files that other users can't change. Connecting to a server
//! needs no such check, because the kernel reports the user of the process at the other end.

use std::io;
use std::path::Path;

use syshandle_os::{FileStatus, UserId};

use crate::{Error, ErrorKind, Result};

/// Checks that only root and this user can change a file or folder.
///
/// # Errors
/// [`ErrorKind::Insecure`], with advice. [`ErrorKind::ActivationDenied`] if the owner is unknown in
/// this user namespace, as root often is in a container.
pub fn check(path: &Path, status: &FileStatus) -> Result<()> {
    if status.user != 0 {
        check_owner(path, status)?;
    }
    // The group may have write permission if it is the owner's private group, which is common.
    let is_private =
        status.group.number().is_some() && status.group.number() == status.user.number();
    let group_writes = status.mode & 0o020 != 0 && !is_private;
    if group_writes || status.mode & 0o002 != 0 {
        let remedy = format!("other users may write to it (fix: `chmod go-w {}`)", path.display());
        return Err(untrusted(ErrorKind::Insecure, path, &remedy));
    }
    Ok(())
}

/// Checks that not every user can replace the program of a server. The program may belong to any
/// user, because the registration names it explicitly.
///
/// # Errors
/// [`ErrorKind::Insecure`], with advice.
pub fn check_program(program: &Path) -> Result<()> {
    for path in program.parent().into_iter().chain([program]) {
        // If the program is missing, starting it reports that.
        let Ok(status) = FileStatus::at(path) else { continue };
        // In a folder with the sticky bit, only the owner of a file can replace the file.
        let is_sticky = status.is_folder() && status.mode & 0o1000 != 0;
        if status.mode & 0o002 != 0 && !is_sticky {
            let remedy = format!("any user may write to it (fix: `chmod o-w {}`)", path.display());
            return Err(untrusted(ErrorKind::Insecure, path, &remedy));
        }
    }
    Ok(())
}

/// Checks that a folder belongs to this user, and that other users have no access to it.
///
/// # Errors
/// The errors of [`check`].
pub fn check_private(folder: &Path, status: &FileStatus) -> Result<()> {
    check_owner(folder, status)?;
    if status.mode & 0o077 != 0 {
        let remedy = format!("other users may access it (fix: `chmod 700 {}`)", folder.display());
        return Err(untrusted(ErrorKind::Insecure, folder, &remedy));
    }
    Ok(())
}

fn check_owner(path: &Path, status: &FileStatus) -> Result<()> {
    if status.user == UserId::current() {
        return Ok(());
    }
    let what = format!("it belongs to {}", status.user);
    if status.user.number().is_some() {
        return Err(untrusted(ErrorKind::Insecure, path, &what));
    }
    let what = format!("{what}; this process may only connect to a server that runs");
    Err(untrusted(ErrorKind::ActivationDenied, path, &what))
}

fn untrusted(kind: ErrorKind, path: &Path, what: &str) -> Error {
    Error::new(kind, format!("{} can't be trusted: {what}", path.display()))
}

/// Returns the error for a file or folder that can't be read or written. The kind of the error
/// depends only on `cause`.
pub fn cannot(path: &Path, verb: &str, cause: io::Error) -> Error {
    cannot_or(ErrorKind::System, path, verb, cause)
}

/// Returns the error like [`cannot`]. If the cause is not a lack of permission, the error has the
/// kind `otherwise`.
pub(crate) fn cannot_or(otherwise: ErrorKind, path: &Path, verb: &str, cause: io::Error) -> Error {
    let path = path.display();
    let (kind, text) = match cause.kind() {
        io::ErrorKind::PermissionDenied => (
            ErrorKind::ActivationDenied,
            format!("{path} can't be {verb}: this process has no permission"),
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::ActivationDenied,
            format!("{path} can't be {verb}: this process may only read there"),
        ),
        _ => (otherwise, format!("{path} can't be {verb}")),
    };
    Error::new(kind, text).because(cause)
}
