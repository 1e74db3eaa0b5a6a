//! A background task: the method returns at once, and the server finishes the work when the client
//! sets an event. The client waits for an event of the server.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::time::Duration;

use syshandle::{Context, ErrorKind, Result, handle::Event, interface, wait::Outcome};

/// Prints documents.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d301")]
trait Printer {
    /// Prints as soon as `ready` is set. Waits for it up to `patience`. Returns an event that is
    /// set when the paper is in the tray.
    fn print_later(&self, context: &Context, ready: Event, patience: Duration) -> Result<Event>;
}

struct Office;

impl Printer for Office {
    fn print_later(&self, context: &Context, ready: Event, patience: Duration) -> Result<Event> {
        let printed = Event::new()?;
        let set_when_printed = printed.try_clone()?;
        let client = context.clone();
        // No thread waits until the event is set.
        context.on_signal(ready, patience, move |outcome| match outcome {
            Outcome::Fired => {
                println!("server: printing");
                if let Err(error) = set_when_printed.set() {
                    client.abort(format!("the event can't be set: {error}"));
                }
            }
            Outcome::Expired => client.abort("the document was never ready"),
            // The client has died, or the server is about to exit.
            _ => {}
        })?;
        Ok(printed)
    }
}

fn main() -> Result<()> {
    let printer = PrinterClient::in_process(Office)?;
    let ready = Event::new()?;
    let printed = printer.print_later(&ready, &Duration::from_secs(30))?;
    println!("client: the document is ready");
    ready.set()?;
    // This wait also ends if the server dies or aborts, or when the client's timeout has passed.
    printer.wait(&printed)?;
    println!("client: the paper is here");

    // This time the event is never set. After the timeout, the server's callback ends the client's
    // wait with an error.
    let printed = printer.print_later(&ready, &Duration::from_millis(50))?;
    match printer.wait(&printed) {
        Err(error) if error.kind() == ErrorKind::Aborted => println!("client: {error}"),
        other => other?,
    }
    Ok(())
}
