//! The sample's server under injected failures.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use sparkle::{SERVER_LINES, SPARKLE_FINISHER, SparkleFinisher};
use syshandle::{Context, Result, Server, handle::Event, wait::Outcome};
use syshandle_fault_injection::injection::arm_from_environment;
use syshandle_fault_injection::large_values::{Echo, LARGE};
use syshandle_fault_injection::pipelined_calls::{Counter, NUMBERS};

pub(crate) fn main() -> Result<()> {
    if let Err(error) = arm_from_environment() {
        eprintln!("no failures can be made here: {error}");
        std::process::exit(77);
    }
    let idle = std::env::var("FAULT_SERVER_IDLE_MS").ok().and_then(|text| text.parse().ok());
    Server::new()
        .class(SPARKLE_FINISHER, || Finisher)
        .class(NUMBERS, || Counter)
        .class(LARGE, || Echo)
        .idle_timeout(Duration::from_millis(idle.unwrap_or(1000)))
        .run()
}

struct Finisher;

impl SparkleFinisher for Finisher {
    fn add_sparkle_finish_to_file(
        &self,
        context: &Context,
        mut decorate_this_file: File,
        when_this_event_fires: Event,
    ) -> Result<Event> {
        let will_notify_when_done = Event::new()?;
        let done = will_notify_when_done.try_clone()?;
        let client = context.clone();
        context.on_signal(when_this_event_fires, Duration::from_secs(600), move |outcome| {
            if outcome != Outcome::Fired {
                return client.abort(format!("the file was never ready: {outcome:?}"));
            }
            let finished =
                decorate_this_file.write_all(SERVER_LINES.as_bytes()).and_then(|()| done.set());
            if let Err(error) = finished {
                client.abort(format!("the file can't be finished: {error}"));
            }
        })?;
        Ok(will_notify_when_done)
    }
}
