//! Says hello through a server, which its first call starts.

use syshandle::Result;
use weight_syshandle::{HELLO, HelloClient};

fn main() -> Result<()> {
    println!("{}", HelloClient::activate(HELLO)?.hello("world")?);
    Ok(())
}
