//! The server.

use rsbinder::rpc::RpcServer;
use rsbinder::{BinderResult, Interface};
use weight_rsbinder::IHello::{BnHello, IHello};

struct Hello;

impl Interface for Hello {}

impl IHello for Hello {
    fn hello(&self, name: &str) -> BinderResult<String> {
        Ok(format!("hello, {name}"))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::args().nth(1).ok_or("name a socket")?;
    let server = RpcServer::setup_unix_server(socket)?;
    server.set_root(BnHello::new_binder(Hello).as_binder())?;
    Ok(server.run()?)
}
