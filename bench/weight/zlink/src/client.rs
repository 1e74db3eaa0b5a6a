//! Says hello through a server at a socket.

use weight_zlink::{Error, Greeting};
use zlink::proxy;

#[proxy("org.example.hello")]
trait HelloProxy {
    async fn hello(&mut self, name: &str) -> zlink::Result<Result<Greeting, Error>>;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::args().nth(1).ok_or("name a socket")?;
    let mut connection = zlink::tokio::unix::connect(socket).await?;
    let greeting = connection.hello("world").await?.map_err(|error| format!("{error:?}"))?;
    println!("{}", greeting.text);
    Ok(())
}
