//! Says hello through a server at a socket.

use rsbinder::Strong;
use rsbinder::rpc::RpcSession;
use weight_rsbinder::IHello::IHello;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::args().nth(1).ok_or("name a socket")?;
    let session = RpcSession::setup_unix_client(socket)?;
    let hello: Strong<dyn IHello> = session.get_root()?.into_interface()?;
    println!("{}", hello.hello("world")?);
    Ok(())
}
