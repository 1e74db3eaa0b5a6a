//! A server with `async fn` methods, which run as tasks of a tokio runtime:
//! `cargo run --example async_server --features tokio -p syshandle`.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::time::Duration;

use syshandle::{Context, Result, class, interface, tokio::AsyncObject};

/// Cooks eggs.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d801")]
trait Kitchen {
    /// Returns when the egg is ready.
    fn cook(&self, context: &Context, time: Duration) -> Result<String>;
}

class! { KITCHEN: Kitchen = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d802"; }

struct Stove;

impl KitchenAsync for Stove {
    async fn cook(&self, context: &Context, time: Duration) -> Result<String> {
        // If the client gives up, the method ends here.
        tokio::time::sleep(time).await;
        let is_own = context.client().pid == std::process::id();
        Ok(format!("an egg for {}", if is_own { "this process" } else { "another process" }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let runtime = tokio::runtime::Handle::current();
    // A server program passes the object to `Server::class` instead.
    let kitchen: KitchenClient = KITCHEN.in_process(AsyncObject::new(&runtime, Stove))?;
    let kitchen = KitchenAsyncClient::from(kitchen);

    // No thread waits for the hundred eggs.
    let eggs: Vec<_> = (0..100).map(|_| kitchen.cook(&Duration::from_millis(50))).collect();
    let mut last = String::new();
    for egg in eggs {
        last = egg.await?;
    }
    println!("the last egg is {last}");
    Ok(())
}
