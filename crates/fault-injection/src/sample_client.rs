//! A client of the sample that reports the outcome in one line.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use sparkle::{CLIENT_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::{Activation, ErrorKind, handle::Event};

/// The outcome of a client's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOutcome {
    /// The file is finished.
    Finished,
    /// The library returned an error of this kind. The flag says whether the failed call may have
    /// run.
    Error(ErrorKind, bool),
    /// The client could not use its own files or events.
    OwnError,
}

impl fmt::Display for ClientOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Error(kind, may_have_run) => {
                let whether = if *may_have_run { "may have run" } else { "did not run" };
                write!(f, "{kind:?}, {whether}")
            }
            Self::OwnError => f.write_str("own"),
        }
    }
}

impl From<syshandle::Error> for ClientOutcome {
    fn from(error: syshandle::Error) -> Self {
        Self::Error(error.kind(), error.may_have_run())
    }
}

impl From<std::io::Error> for ClientOutcome {
    fn from(_: std::io::Error) -> Self {
        Self::OwnError
    }
}

/// Makes the server finish a file, with this timeout for each step. Returns the outcome and the
/// text of the error.
pub fn finish(activation: &Activation, path: &Path, timeout: Duration) -> (ClientOutcome, String) {
    match try_to_finish(activation, path, timeout) {
        Ok(()) => (ClientOutcome::Finished, String::new()),
        Err(failed) => failed,
    }
}

fn try_to_finish(
    activation: &Activation,
    path: &Path,
    timeout: Duration,
) -> Result<(), (ClientOutcome, String)> {
    let own = |error: std::io::Error| (error.to_string(), ClientOutcome::from(error));
    let own = |error| {
        let (text, outcome) = own(error);
        (outcome, text)
    };
    let library = |error: syshandle::Error| {
        let text = format!("{error:#}");
        (ClientOutcome::from(error), text)
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(own)?;
    let ready = Event::new().map_err(own)?;
    let activation = activation.clone().timeout(timeout);
    let finisher: SparkleFinisherClient =
        activation.activate(SPARKLE_FINISHER.clsid()).map_err(library)?;
    let finisher = finisher.with_timeout(timeout);
    let done = finisher.add_sparkle_finish_to_file(&file, &ready).map_err(library)?;
    file.write_all(CLIENT_LINES.as_bytes()).map_err(own)?;
    ready.set().map_err(own)?;
    finisher.wait(&done).map_err(library)
}
