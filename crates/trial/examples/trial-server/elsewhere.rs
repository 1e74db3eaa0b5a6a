//! Nothing: activation without COM is tried on Linux only.

use syshandle::Result;

pub(crate) fn main() -> Result<()> {
    Ok(())
}
