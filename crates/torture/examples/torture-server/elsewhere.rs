//! Nothing: system calls are made to fail on Linux only.

use syshandle::Result;

pub(crate) fn main() -> Result<()> {
    Ok(())
}
