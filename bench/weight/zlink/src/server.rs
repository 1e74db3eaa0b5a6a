//! The server.

use weight_zlink::Greeting;
use zlink::{Server, service};

struct Hello;

#[service(interface = "org.example.hello")]
impl Hello {
    async fn hello(&mut self, name: String) -> Greeting {
        Greeting { text: format!("hello, {name}") }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::args().nth(1).ok_or("name a socket")?;
    Ok(Server::new(zlink::tokio::unix::bind(socket)?, Hello).run().await?)
}
