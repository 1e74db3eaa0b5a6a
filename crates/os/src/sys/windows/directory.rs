//! Opens directories on Windows.

use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::OwnedHandle;
use std::path::Path;

/// A directory HANDLE.
pub(crate) type DirectoryHandle = OwnedHandle;

pub(crate) fn open(path: &Path) -> io::Result<DirectoryHandle> {
    let mut options = File::options();
    Ok(options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?.into())
}

/// Flag that makes `CreateFile` open directories too, from `winbase.h`.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
