//! One call between two processes, without a registration: `cargo run --example hello`.
//!
//! The program starts itself a second time as the server. Each process has one end of a socket
//! pair.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use syshandle::{Result, class, interface};

/// Greets people.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d101")]
trait Greeter {
    /// Returns a greeting.
    fn greet(&self, name: String) -> Result<String>;
}

class! { GREETER: Greeter = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d102"; }

struct Polite;

impl Greeter for Polite {
    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}! This is process {}.", std::process::id()))
    }
}

#[cfg(not(windows))]
fn main() -> Result<()> {
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    use syshandle::{Server, direct};

    if std::env::args().nth(1).as_deref() == Some("--server") {
        // The server's end of the connection is its standard input.
        let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
        return Server::new().class(GREETER, || Polite).socket(socket).run();
    }
    let (client_end, server_end) = direct::socket_pair()?;
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--server")
        .stdin(Stdio::from(server_end))
        .spawn()?;
    println!("This is process {}.", std::process::id());

    let greeter: GreeterClient = direct::from_socket(client_end)?;
    println!("{}", greeter.greet("world")?);

    drop(greeter); // The server ends with its connection.
    server.wait()?;
    Ok(())
}

/// On Windows, COM makes all connections between processes and needs a registration. Therefore
/// client and server share one process here.
#[cfg(windows)]
fn main() -> Result<()> {
    println!("{}", GreeterClient::in_process(Polite)?.greet("world")?);
    Ok(())
}
