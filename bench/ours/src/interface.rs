//! The interfaces that are measured, and their classes.

use std::fs::File;
use std::sync::Arc;

use syshandle::{Context, Event, Result, class, interface};

pub(crate) use crate::numbers::*;

/// Calls with handles.
#[interface(iid = "0d6f6b8e-51a4-4a53-8d20-8f2ee5a3a902")]
pub trait Handles {
    /// W2: the event; the file is closed.
    fn exchange(&self, #[handle(file, read | write)] file: File, event: Event) -> Result<Event>;

    /// W3: decorates the file when `ready` is set, and then sets the event that it returns.
    fn sparkle(
        &self,
        context: &Context,
        #[handle(file, read | write)] file: File,
        ready: Event,
    ) -> Result<Arc<Event>>;

    /// How many they are; all are closed.
    fn count(&self, #[handle(file, read)] files: Vec<File>) -> Result<u64>;

    /// A job that waits for an event.
    fn wait_for(&self, context: &Context, event: Event) -> Result<()>;

    /// A job that waits for a time after any run.
    fn wait_long(&self, context: &Context) -> Result<()>;

    /// One file, which is closed.
    fn file(&self, #[handle(file, read | write)] file: File) -> Result<u64>;

    /// A number, in an interface that has handles.
    fn number(&self, number: u64) -> Result<u64>;
}

class! {
    /// The class of a server that stays while there are clients.
    pub BENCH: Numbers + Handles = "5a3f0c52-6f0e-4d63-b1c5-7d2f9ab0c603";
}
