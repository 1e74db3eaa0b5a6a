//! The interface between a broker and the confined worker that it starts.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use syshandle::{
    Context, Result, class,
    handle::{Directory, Event, OwnedHandle, Process, Section, Semaphore, Timer},
    interface,
};

use crate::stopped_process::stop_and_continue;

/// Passes handles of each kind to a worker, and receives an event from it.
#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b41")]
pub trait Broker {
    /// Returns an event.
    fn event(&self) -> Result<Event>;

    /// Returns a semaphore.
    fn semaphore(&self) -> Result<Semaphore>;

    /// Returns a readable file.
    #[handle(file, read)]
    fn file(&self) -> Result<File>;

    /// Returns a directory.
    fn directory(&self) -> Result<Directory>;

    /// Returns the reading end of a pipe.
    #[handle(pipe, read)]
    fn pipe(&self) -> Result<OwnedHandle>;

    /// Returns a section.
    fn section(&self) -> Result<Section>;

    /// Returns a handle to the broker's process.
    fn process(&self) -> Result<Process>;

    /// Returns a timer.
    fn timer(&self) -> Result<Timer>;

    /// Returns a handle whose kind depends on the number. The kinds repeat in the order pipe,
    /// event, file.
    fn any(&self, which: u32) -> Result<OwnedHandle>;

    /// Returns the bytes.
    fn bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// Sets an event that the worker created.
    fn set(&self, event: Event) -> Result<()>;

    /// Returns a reference to another broker.
    fn another(&self) -> Result<BrokerClient>;

    /// Returns the process ID of the caller, as the kernel reports it.
    fn caller(&self, context: &Context) -> Result<u32>;

    /// Records which handles the worker has received.
    fn report(&self, text: String) -> Result<()>;

    /// Starts a background task that sets `then` when `first` is set.
    fn set_after(&self, context: &Context, first: Event, then: Event) -> Result<()>;

    /// Starts a background task that sets the event after some time.
    fn set_later(&self, context: &Context, event: Event, milliseconds: u32) -> Result<()>;

    /// Returns the process ID of this process, as another broker sees it.
    fn caller_of(&self, other: BrokerClient) -> Result<u32>;

    /// Stops the caller's process, and lets it continue.
    fn stop_caller(&self, context: &Context) -> Result<()>;
}

class! {
    /// The class that a worker serves for its broker.
    pub BROKER: Broker = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b42";
}

/// An object of the class [`BROKER`], which stores the last report.
#[derive(Clone, Debug, Default)]
pub struct BrokerObject {
    report: Arc<Mutex<String>>,
}

impl BrokerObject {
    /// Returns the last report, which is empty if no worker has reported yet. Clones of the object
    /// share the report.
    pub fn last_report(&self) -> String {
        self.report.lock().unwrap().clone()
    }
}

impl Broker for BrokerObject {
    fn event(&self) -> Result<Event> {
        Ok(Event::new()?)
    }

    fn semaphore(&self) -> Result<Semaphore> {
        Ok(Semaphore::new(1)?)
    }

    fn file(&self) -> Result<File> {
        let mut file = tempfile::tempfile()?;
        file.write_all(b"hello")?;
        file.rewind()?;
        Ok(file)
    }

    fn directory(&self) -> Result<Directory> {
        Ok(Directory::open("/usr")?)
    }

    fn pipe(&self) -> Result<OwnedHandle> {
        Ok(std::io::pipe()?.0.into())
    }

    fn section(&self) -> Result<Section> {
        Ok(Section::new(4096)?)
    }

    fn process(&self) -> Result<Process> {
        Ok(Process::current()?)
    }

    fn timer(&self) -> Result<Timer> {
        Ok(Timer::new()?)
    }

    fn any(&self, which: u32) -> Result<OwnedHandle> {
        Ok(match which % 3 {
            0 => std::io::pipe()?.0.into(),
            1 => Event::new()?.into(),
            _ => tempfile::tempfile()?.into(),
        })
    }

    fn bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn set(&self, event: Event) -> Result<()> {
        Ok(event.set()?)
    }

    fn another(&self) -> Result<BrokerClient> {
        BrokerClient::in_process(Self::default())
    }

    fn caller(&self, context: &Context) -> Result<u32> {
        Ok(context.client().pid)
    }

    fn report(&self, text: String) -> Result<()> {
        *self.report.lock().unwrap() = text;
        Ok(())
    }

    fn set_after(&self, context: &Context, first: Event, then: Event) -> Result<()> {
        context.on_signal(first, Duration::MAX, move |_| then.set().unwrap())?;
        Ok(())
    }

    fn set_later(&self, context: &Context, event: Event, milliseconds: u32) -> Result<()> {
        let delay = Duration::from_millis(milliseconds.into());
        context.on_timer(delay, move |_| event.set().unwrap())?;
        Ok(())
    }

    fn caller_of(&self, other: BrokerClient) -> Result<u32> {
        other.caller()
    }

    fn stop_caller(&self, context: &Context) -> Result<()> {
        stop_and_continue(context.client().pid);
        Ok(())
    }
}
