//! The server.

use ipc_channel::ipc::{self, IpcSender};
use weight_ipc_channel::Hello;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("name the client's server")?;
    let (sender, calls) = ipc::channel::<Hello>()?;
    IpcSender::connect(name)?.send(sender)?;
    while let Ok(Hello(name, greetings)) = calls.recv() {
        greetings.send(format!("hello, {name}"))?;
    }
    Ok(())
}
