//! Does nothing: activation without COM is tested on Linux only.

use syshandle::Result;

pub(crate) fn main() -> Result<()> {
    Ok(())
}
