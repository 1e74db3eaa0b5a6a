//! The server.

use syshandle::{Result, Server};
use weight_syshandle::{HELLO, Hello};

struct Greeter;

impl Hello for Greeter {
    fn hello(&self, name: String) -> Result<String> {
        Ok(format!("hello, {name}"))
    }
}

fn main() -> Result<()> {
    Server::new().class(HELLO, || Greeter).run()
}
