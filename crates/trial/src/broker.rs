//! The interface between a broker and the confined worker that it starts.

use std::fs::File;

use syshandle::{
    Context, Directory, Event, OwnedHandle, Process, Result, Section, Semaphore, Timer, class,
    interface,
};

/// Passes a worker a handle of each kind, and takes one.
#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b41")]
pub trait Broker {
    /// An event.
    fn event(&self) -> Result<Event>;

    /// A semaphore.
    fn semaphore(&self) -> Result<Semaphore>;

    /// A file to read.
    #[handle(file, read)]
    fn file(&self) -> Result<File>;

    /// A directory.
    fn directory(&self) -> Result<Directory>;

    /// A pipe to read.
    #[handle(pipe, read)]
    fn pipe(&self) -> Result<OwnedHandle>;

    /// Memory.
    fn section(&self) -> Result<Section>;

    /// The broker's process.
    fn process(&self) -> Result<Process>;

    /// A timer.
    fn timer(&self) -> Result<Timer>;

    /// A handle of any kind: a pipe, an event, a file, and so on in turn.
    fn any(&self, which: u32) -> Result<OwnedHandle>;

    /// As many bytes as that, back.
    fn bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// Sets an event of the worker's.
    fn set(&self, event: Event) -> Result<()>;

    /// A reference to another broker.
    fn another(&self) -> Result<BrokerClient>;

    /// The process that calls, as the kernel names it.
    fn caller(&self, context: &Context) -> Result<u32>;

    /// Notes what the worker found.
    fn report(&self, text: String) -> Result<()>;
}

class! {
    /// The class of workers that serve their broker.
    pub BROKER: Broker = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b42";
}
