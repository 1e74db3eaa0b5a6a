//! Whom the files that activation relies on belong to.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use syshandle_os::own_user;

use crate::{Error, ErrorKind, Result};

/// Checks that nobody but root and this user can change a file or folder.
///
/// # Errors
/// [`ErrorKind::Insecure`], with what to do.
pub(crate) fn check(path: &Path, metadata: &Metadata) -> Result<()> {
    let insecure = |what: String| {
        Err(Error::new(ErrorKind::Insecure, format!("{} can't be trusted: {what}", path.display())))
    };
    if ![0, own_user()].contains(&metadata.uid()) {
        return insecure(format!("it belongs to user {}", metadata.uid()));
    }
    // A group that a user has alone may write, as is common.
    let group_writes = metadata.mode() & 0o020 != 0 && metadata.gid() != metadata.uid();
    if group_writes || metadata.mode() & 0o002 != 0 {
        return insecure(format!(
            "others may write to it (`chmod go-w {}` mends that)",
            path.display()
        ));
    }
    Ok(())
}
