//! The most common errors, and how a program distinguishes them.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::fs::File;
use std::time::Duration;

use syshandle::handle::{Event, OwnedHandle};
use syshandle::{Context, Error, ErrorKind, Result, interface};

/// Copies documents.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d701")]
trait Copier {
    /// Appends to a document.
    fn append(&self, #[handle(file, read | write)] document: File) -> Result<()>;
    /// Warms up the lamp.
    #[blocking]
    fn warm_up(&self, context: &Context) -> Result<()>;
    /// Scans a page.
    fn scan(&self) -> Result<Vec<u8>>;
}

struct Device;

impl Copier for Device {
    fn append(&self, _document: File) -> Result<()> {
        Ok(())
    }

    fn warm_up(&self, context: &Context) -> Result<()> {
        while !context.is_cancelled() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn scan(&self) -> Result<Vec<u8>> {
        // `refused` tells the caller that its call had no effect.
        Err(Error::new(ErrorKind::Busy, "another client scans").refused())
    }
}

fn show<T>(situation: &str, result: Result<T>) {
    let Err(error) = result else { return };
    let retry = if error.may_have_run() { "may have run" } else { "did not run" };
    println!("{situation}: {:?}, the call {retry}\n    {error}", error.kind());
}

fn main() -> Result<()> {
    let copier = CopierClient::in_process(Device)?;

    let event = File::from(OwnedHandle::from(Event::new()?));
    show("an event instead of a file", copier.append(&event));

    let licence = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT"))?;
    show("a file that can't be written", copier.append(&licence));

    show("a timeout", copier.with_timeout(Duration::from_millis(50)).warm_up());
    show("a busy server", copier.scan());
    Ok(())
}
