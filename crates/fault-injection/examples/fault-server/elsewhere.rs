//! An empty server: system calls are made to fail only on Linux.

use syshandle::Result;

pub(crate) fn main() -> Result<()> {
    Ok(())
}
