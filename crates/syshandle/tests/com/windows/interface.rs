//! The interface and the classes that most tests use.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::net::TcpStream;

use syshandle::{
    Context, Decode, Encode, Guid, Result, class,
    handle::{
        Event, Job, ManualEvent, Mutex, Process, RegKey, Section, Semaphore, Thread, Timer, Token,
    },
    interface,
};

/// Has a method for each kind of handle, which uses its argument and returns a handle of the same
/// kind. Other methods test values, errors and tasks.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f01")]
pub(crate) trait Everything {
    /// Writes `served` at the file's current position, and returns the file.
    fn file(&self, #[handle(file, read | write)] file: File) -> Result<File>;

    /// Reads six bytes from the pipe, and returns a new pipe that contains them.
    fn pipe(&self, pipe: PipeReader) -> Result<PipeReader>;

    /// Writes `served` to the pipe, and returns it.
    fn pipe_to_write(&self, pipe: PipeWriter) -> Result<PipeWriter>;

    /// Sets the event, and returns it.
    fn event(&self, event: Event) -> Result<Event>;

    /// Resets the event, and returns it.
    fn manual_event(&self, event: ManualEvent) -> Result<ManualEvent>;

    /// Releases the semaphore twice, and returns it.
    fn semaphore(&self, semaphore: Semaphore) -> Result<Semaphore>;

    /// Returns whether another thread owns the mutex, and the mutex.
    fn mutex(&self, mutex: Mutex) -> Result<(bool, Mutex)>;

    /// Writes `served` at the beginning of the section, and returns it.
    fn section(&self, #[handle(section, read | write | map)] section: Section) -> Result<Section>;

    /// Returns the identifier of the process, and the server's process.
    fn process(&self, process: Process) -> Result<(u32, Process)>;

    /// Returns the identifier of the thread, and the server's own thread.
    fn thread(&self, thread: Thread) -> Result<(u32, Thread)>;

    /// Returns the number of processes in the job, and the job.
    fn job(&self, job: Job) -> Result<(u32, Job)>;

    /// Returns the user of the token, and the server's token.
    fn token(&self, token: Token) -> Result<(String, Token)>;

    /// Returns the value `text` of the key, and the key.
    fn key(&self, key: RegKey) -> Result<(String, RegKey)>;

    /// Sends `served` through the socket, and returns the socket.
    fn socket(&self, socket: TcpStream) -> Result<TcpStream>;

    /// Declares a kind of handle that COM does not have.
    fn timer(&self, timer: Timer) -> Result<()>;

    /// Takes numbers that the calling convention passes in integer and floating-point registers and
    /// on the stack.
    fn numbers(&self, a: f64, b: u8, c: f32, d: i64, e: bool, f: f64) -> Result<(f64, i64, bool)>;

    /// Returns the text and the list in reverse order, and the identifier.
    fn texts(&self, text: String, id: Guid, list: Vec<u32>) -> Result<(String, Guid, Vec<u32>)>;

    /// Writes `served` to each file, and returns the number of files.
    fn files(&self, #[handle(file, write)] files: Vec<File>) -> Result<u32>;

    /// Sets the event if there is one, and returns it.
    fn perhaps(&self, event: Option<Event>) -> Result<Option<Event>>;

    /// Takes and returns values that MIDL can't express, with nested handles.
    fn opaque(&self, parcels: BTreeMap<String, Parcel>) -> Result<BTreeMap<String, Parcel>>;

    /// Fails with an error of its own type.
    fn refuse(&self, with: Refusal) -> Result<u32, Refusal>;

    /// Fails with an error that contains the text.
    fn fail(&self, text: String) -> Result<u32>;

    /// Panics.
    fn panic(&self) -> Result<()>;

    /// Returns the identifiers of the server's process and of the caller's.
    fn who(&self, context: &Context) -> Result<Who>;

    /// Starts a task that writes its outcome to the file.
    fn write_outcome(
        &self,
        context: &Context,
        #[handle(file, write)] file: File,
        event: Event,
    ) -> Result<()>;

    /// Starts a task that ends the connection with an error when the event is set.
    fn fail_later(&self, context: &Context, event: Event) -> Result<Event>;

    /// Sets the event, and returns when the call is cancelled.
    fn rest(&self, context: &Context, begun: Event) -> Result<()>;

    /// Aborts the server's process.
    fn crash(&self) -> Result<()>;

    /// Opens a file in the server and keeps it open. Returns the number of its handle there.
    fn keep_open(&self, path: String) -> Result<u64>;
}

/// A value that can contain handles.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Parcel {
    /// A file, and a number of a type that MIDL does not have.
    File(#[handle(file)] File, u128),
    /// Events.
    Events(Vec<Event>),
    /// Nothing.
    Empty,
}

/// An error that COM carries as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Refusal {
    /// Not today.
    NotToday,
    /// Never.
    Never,
}

/// The processes of a call.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Who {
    /// The server's process.
    pub server_pid: u32,
    /// The client's process, according to the RPC runtime.
    pub client_pid: u32,
}

class! {
    /// The class that most tests share.
    pub SHARED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f02";
}

class! {
    /// A class whose server has never been started before.
    pub COLD: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f03";
}

class! {
    /// A class whose server is killed.
    pub KILLED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f04";
}

class! {
    /// A class whose server crashes.
    pub CRASHING: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f05";
}

class! {
    /// A class for a test whose client is killed.
    pub BEREFT: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f06";
}

class! {
    /// A class that many clients activate at once.
    pub CROWDED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f07";
}

class! {
    /// A class that is attacked by clients with forged handles.
    pub ATTACKED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f08";
}
