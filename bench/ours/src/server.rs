//! The server of syshandle.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bench_harness::sparkle::SERVER_LINES;
use syshandle::{Context, Result, Server, handle::Event, wait::Outcome};

use crate::interface::{BENCH, Handles, Numbers, NumbersClient};
use crate::waiting::LONG;

/// Serves until no client has been connected for [`LINGER`].
pub(crate) fn serve() -> bench_harness::Result<()> {
    let server = Server::new().class(BENCH, || Bench);
    let server = crate::sizes::serve(server);
    Ok(server.idle_timeout(LINGER).run()?)
}

/// The object of the class.
#[derive(Debug)]
pub(crate) struct Bench;

impl Numbers for Bench {
    fn null(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }

    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn notify(&self, _number: u64) {}
}

impl Handles for Bench {
    fn exchange(&self, _file: File, event: Event) -> Result<Event> {
        Ok(event)
    }

    fn sparkle(&self, context: &Context, mut file: File, ready: Event) -> Result<Arc<Event>> {
        let done = Arc::new(Event::new()?);
        let signal = done.clone();
        let client = context.clone();
        context.on_signal(ready, PATIENCE, move |outcome| {
            let finished = match outcome {
                Outcome::Fired => file.write_all(SERVER_LINES).and_then(|()| signal.set()),
                _ => Ok(()),
            };
            if let Err(error) = finished {
                client.abort(error.to_string());
            }
        })?;
        Ok(done)
    }

    fn count(&self, files: Vec<File>) -> Result<u64> {
        Ok(files.len() as u64)
    }

    fn wait_for(&self, context: &Context, event: Event) -> Result<()> {
        context.on_signal(event, PATIENCE, |_| {})?;
        Ok(())
    }

    fn wait_long(&self, context: &Context) -> Result<()> {
        context.on_timer(LONG, |_| {})?;
        Ok(())
    }

    fn file(&self, _file: File) -> Result<u64> {
        Ok(1)
    }

    fn number(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }

    fn object(&self, context: &Context) -> Result<NumbersClient> {
        context.serve::<dyn Numbers, _>(Bench)
    }
}

/// Longer than any run.
const PATIENCE: Duration = Duration::from_secs(600);

/// Time after which the server ends without a client. The benchmark always holds a connection.
const LINGER: Duration = Duration::from_secs(2);
