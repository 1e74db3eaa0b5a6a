//! The measured interfaces and their classes.

use std::fs::File;
use std::sync::Arc;

use syshandle::{Context, Result, class, handle::Event, interface};

pub(crate) use crate::numbers::*;

/// Calls with handles.
#[interface(iid = "0d6f6b8e-51a4-4a53-8d20-8f2ee5a3a902")]
pub trait Handles {
    /// W2: returns the event, and closes the file.
    fn exchange(&self, #[handle(file, read | write)] file: File, event: Event) -> Result<Event>;

    /// W3: writes to the file when `ready` is set, and then sets the returned event.
    fn sparkle(
        &self,
        context: &Context,
        #[handle(file, read | write)] file: File,
        ready: Event,
    ) -> Result<Arc<Event>>;

    /// Returns the number of files, and closes them.
    fn count(&self, #[handle(file, read)] files: Vec<File>) -> Result<u64>;

    /// Starts a background task that waits for an event.
    fn wait_for(&self, context: &Context, event: Event) -> Result<()>;

    /// Starts a background task that waits for longer than a run.
    fn wait_long(&self, context: &Context) -> Result<()>;

    /// Closes a file.
    fn file(&self, #[handle(file, read | write)] file: File) -> Result<u64>;

    /// Passes a number, in an interface with handles.
    fn number(&self, number: u64) -> Result<u64>;

    /// Creates an object.
    fn object(&self, context: &Context) -> Result<NumbersClient>;
}

class! {
    /// The class of the server that runs for the whole measurement.
    pub BENCH: Numbers + Handles = "5a3f0c52-6f0e-4d63-b1c5-7d2f9ab0c603";
}
