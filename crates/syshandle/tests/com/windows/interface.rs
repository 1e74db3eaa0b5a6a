//! The interface that is tried.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::net::TcpStream;

use syshandle::{
    Context, Decode, Encode, Event, Guid, Job, ManualEvent, Mutex, Process, RegKey, Result,
    Section, Semaphore, Thread, Timer, Token, class, interface,
};

/// A method for each kind of handle, which uses what comes and returns one of its own; and others.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f01")]
pub(crate) trait Everything {
    /// Writes `served` where the file stands, and returns it.
    fn file(&self, #[handle(file, read | write)] file: File) -> Result<File>;

    /// Reads what the pipe has, and returns one that has the same.
    fn pipe(&self, pipe: PipeReader) -> Result<PipeReader>;

    /// The other end of a pipe, to be written.
    fn pipe_to_write(&self, pipe: PipeWriter) -> Result<PipeWriter>;

    /// Sets the event, and returns it.
    fn event(&self, event: Event) -> Result<Event>;

    /// Resets the event, and returns it.
    fn manual_event(&self, event: ManualEvent) -> Result<ManualEvent>;

    /// Releases the semaphore twice, and returns it.
    fn semaphore(&self, semaphore: Semaphore) -> Result<Semaphore>;

    /// Whether somebody else has the mutex, and the mutex.
    fn mutex(&self, mutex: Mutex) -> Result<(bool, Mutex)>;

    /// Writes `served` at the beginning of the memory, and returns it.
    fn section(&self, #[handle(section, read | write | map)] section: Section) -> Result<Section>;

    /// The number of the process, and the server's own.
    fn process(&self, process: Process) -> Result<(u32, Process)>;

    /// The number of the thread, and one of the server's own.
    fn thread(&self, thread: Thread) -> Result<(u32, Thread)>;

    /// How many processes the job has, and the job.
    fn job(&self, job: Job) -> Result<(u32, Job)>;

    /// The user of the token, and the server's own.
    fn token(&self, token: Token) -> Result<(String, Token)>;

    /// A value of the key, and the key.
    fn key(&self, key: RegKey) -> Result<(String, RegKey)>;

    /// Sends `served` by the socket, and returns it.
    fn socket(&self, socket: TcpStream) -> Result<TcpStream>;

    /// COM has no kind for this one.
    fn timer(&self, timer: Timer) -> Result<()>;

    /// Numbers in registers of both sorts, and on the stack.
    fn numbers(&self, a: f64, b: u8, c: f32, d: i64, e: bool, f: f64) -> Result<(f64, i64, bool)>;

    /// A text, an identifier and a list, backwards.
    fn texts(&self, text: String, id: Guid, list: Vec<u32>) -> Result<(String, Guid, Vec<u32>)>;

    /// As many files as came, each with `served` in it.
    fn files(&self, #[handle(file, write)] files: Vec<File>) -> Result<u32>;

    /// Whether an event came, which is then returned.
    fn perhaps(&self, event: Option<Event>) -> Result<Option<Event>>;

    /// What MIDL has no words for, with handles deep inside.
    fn opaque(&self, parcels: BTreeMap<String, Parcel>) -> Result<BTreeMap<String, Parcel>>;

    /// Fails with an error of its own.
    fn refuse(&self, with: Refusal) -> Result<u32, Refusal>;

    /// Fails with a text.
    fn fail(&self, text: String) -> Result<u32>;

    /// Panics.
    fn panic(&self) -> Result<()>;

    /// Who serves, and who calls.
    fn who(&self, context: &Context) -> Result<Who>;

    /// Writes how the wait for the event ended, when it has.
    fn write_outcome(
        &self,
        context: &Context,
        #[handle(file, write)] file: File,
        event: Event,
    ) -> Result<()>;

    /// Fails in the background when the event fires.
    fn fail_later(&self, context: &Context, event: Event) -> Result<Event>;

    /// Sets the event, and doesn't end before the client lets go of the object.
    fn rest(&self, context: &Context, begun: Event) -> Result<()>;

    /// Ends the server without an answer.
    fn crash(&self) -> Result<()>;

    /// Opens a file in the server, and says what number its handle has there.
    fn keep_open(&self, path: String) -> Result<u64>;
}

/// Something with handles in it.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Parcel {
    /// A file, and a number that MIDL has no word for.
    File(#[handle(file)] File, u128),
    /// Events.
    Events(Vec<Event>),
    /// Nothing.
    Empty,
}

/// An error that is a number to COM.
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
    /// The client's process, from the RPC runtime.
    pub client_pid: u32,
}

class! {
    /// The class that most tests share.
    pub SHARED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f02";
}

class! {
    /// A class that nobody has used before.
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
    /// A class whose client is killed.
    pub BEREFT: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f06";
}

class! {
    /// A class that many clients activate at once.
    pub CROWDED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f07";
}

class! {
    /// A class that is attacked.
    pub ATTACKED: Everything = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f08";
}
