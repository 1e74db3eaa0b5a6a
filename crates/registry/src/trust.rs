//! Checks which users may change the files that activation relies on.
//!
//! A client starts a server only from files that other users can't change. Connecting requires no
//! trust in files, because the kernel reports the user of the process that greets.

use std::io;
use std::path::Path;

use syshandle_os::{FileStatus, UserId};

use crate::{Error, ErrorKind, Result};

/// Checks that only root and this user can change a file or folder.
///
/// # Errors
/// [`ErrorKind::Insecure`], with what to do; [`ErrorKind::ActivationDenied`] if this user namespace
/// doesn't know the owner, as with root's files in a container.
pub fn check(path: &Path, status: &FileStatus) -> Result<()> {
    if status.user != 0 {
        check_owner(path, status)?;
    }
    // A private group with only the owner as member is common, and may have write permission.
    let is_private =
        status.group.number().is_some() && status.group.number() == status.user.number();
    let group_writes = status.mode & 0o020 != 0 && !is_private;
    if group_writes || status.mode & 0o002 != 0 {
        let remedy = format!("other users may write to it (fix: `chmod go-w {}`)", path.display());
        return Err(untrusted(ErrorKind::Insecure, path, &remedy));
    }
    Ok(())
}

/// Checks that a server's program can't be replaced by any user. Its owner may be any user, since the
/// registration names the program.
///
/// # Errors
/// [`ErrorKind::Insecure`], with what to do.
pub fn check_program(program: &Path) -> Result<()> {
    for path in program.parent().into_iter().chain([program]) {
        // A missing program is reported by the start.
        let Ok(status) = FileStatus::at(path) else { continue };
        // In a sticky folder, only the owner of a file can replace it.
        let is_sticky = status.is_folder() && status.mode & 0o1000 != 0;
        if status.mode & 0o002 != 0 && !is_sticky {
            let remedy = format!("any user may write to it (fix: `chmod o-w {}`)", path.display());
            return Err(untrusted(ErrorKind::Insecure, path, &remedy));
        }
    }
    Ok(())
}

/// Checks that a folder belongs to this user, and that other users may not use it.
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

/// Returns the error for a file or folder that can't be read or written. Its kind depends on the
/// cause, not on the file.
pub fn cannot(path: &Path, verb: &str, cause: io::Error) -> Error {
    cannot_or(ErrorKind::System, path, verb, cause)
}

/// Like [`cannot`], with the kind of an error that isn't about permissions.
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
