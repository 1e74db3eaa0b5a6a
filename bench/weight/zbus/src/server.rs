//! The service.

use std::future::pending;

use zbus::{Result, connection, interface};

struct Hello;

#[interface(name = "org.example.Hello")]
impl Hello {
    fn hello(&self, name: &str) -> String {
        format!("hello, {name}")
    }
}

fn main() -> Result<()> {
    zbus::block_on(async {
        let _connection = connection::Builder::session()
            .name("org.example.Hello")
            .serve_at("/org/example/Hello", Hello)
            .build()
            .await?;
        pending().await
    })
}
