//! The asynchronous client in a tokio program:
//! `cargo run --example async_client --features tokio -p syshandle`.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use syshandle::{Result, handle::Event, interface};

/// Reads files.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d401")]
trait Reader {
    /// Counts the lines of a file.
    #[blocking]
    fn count_lines(&self, #[handle(file, read)] file: File) -> Result<u64>;

    /// Returns an event that is already set.
    fn bell(&self) -> Result<Event>;
}

struct Plain;

impl Reader for Plain {
    fn count_lines(&self, mut file: File) -> Result<u64> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text.lines().count() as u64)
    }

    fn bell(&self) -> Result<Event> {
        let bell = Event::new()?;
        bell.set()?;
        Ok(bell)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Any client can be converted to an asynchronous client.
    let reader: ReaderAsyncClient = ReaderClient::in_process(Plain)?.into();
    let reader = reader.with_timeout(Duration::from_secs(5));

    let manifest = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
    let licence = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT"))?;
    // Both calls run at the same time.
    let (first, second) = tokio::join!(reader.count_lines(&manifest), reader.count_lines(&licence));
    println!("{} and {} lines", first?, second?);

    let bell = reader.bell().await?;
    reader.wait(&bell).await?;
    println!("the bell rang");
    Ok(())
}
