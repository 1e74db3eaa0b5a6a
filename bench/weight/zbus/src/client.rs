//! Says hello through a service of the session bus.

use zbus::{Connection, Result, proxy};

#[proxy(
    interface = "org.example.Hello",
    default_service = "org.example.Hello",
    default_path = "/org/example/Hello"
)]
trait Hello {
    async fn hello(&self, name: &str) -> Result<String>;
}

fn main() -> Result<()> {
    zbus::block_on(async {
        let hello = HelloProxy::new(&Connection::session().await?).await?;
        println!("{}", hello.hello("world").await?);
        Ok(())
    })
}
