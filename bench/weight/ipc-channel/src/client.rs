//! Says hello through a server, which this program starts.

use std::process::Command;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcSender};
use weight_ipc_channel::Hello;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::args_os().nth(1).ok_or("name the server's program")?;
    let (server, name) = IpcOneShotServer::<IpcSender<Hello>>::new()?;
    let mut child = Command::new(program).arg(name).spawn()?;
    let (_, calls) = server.accept()?;
    let (sender, greetings) = ipc::channel()?;
    calls.send(Hello("world".to_owned(), sender))?;
    println!("{}", greetings.recv()?);
    drop(calls);
    child.wait()?;
    Ok(())
}
