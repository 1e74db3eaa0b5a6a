//! The server of the sparkle sample. The first client's activation starts it.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use sparkle::timeline::{Side, note};
use sparkle::{SERVER_LINES, SPARKLE_FINISHER, SparkleFinisher};
use syshandle::{Context, Result, Server, handle::Event, wait::Outcome};

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(log_filter()).init();
    Server::new().class(SPARKLE_FINISHER, || Finisher).idle_timeout(LINGER).run()
}

/// Returns the log filter in the environment variable `RUST_LOG`, or else a filter for warnings.
fn log_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into())
}

struct Finisher;

impl SparkleFinisher for Finisher {
    fn add_sparkle_finish_to_file(
        &self,
        context: &Context,
        decorate_this_file: File,
        when_this_event_fires: Event,
    ) -> Result<Event> {
        note(Side::Server, "receive file handle");
        note(Side::Server, "receive event handle 1");
        let will_notify_when_done = Event::new()?;
        note(Side::Server, "create event handle 2");
        let done = will_notify_when_done.try_clone()?;
        let client = context.clone();
        note(Side::Server, "return to client");
        context.on_signal(when_this_event_fires, PATIENCE, move |outcome| {
            match outcome {
                Outcome::Fired => finish(decorate_this_file, &done).unwrap_or_else(|error| {
                    client.abort(format!("the file can't be finished: {error}"))
                }),
                Outcome::Expired => client.abort("the file was never ready to be finished"),
                // The client has died, or the server is about to exit. The file stays unfinished.
                _ => {}
            }
            note(Side::Server, "clean up");
        })?;
        note(Side::Server, "wait for event handle 1");
        Ok(will_notify_when_done)
    }
}

/// Writes the server's lines, and signals the client.
fn finish(mut file: File, done: &Event) -> std::io::Result<()> {
    file.write_all(SERVER_LINES.as_bytes())?;
    note(Side::Server, "write to file handle");
    done.set()?;
    note(Side::Server, "signal event handle 2");
    Ok(())
}

/// Time limit for a client to write its lines.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Time after which the server exits if no client is connected.
const LINGER: Duration = Duration::from_millis(500);
