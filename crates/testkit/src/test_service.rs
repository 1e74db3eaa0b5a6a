//! The interface of the server under test.

use std::fs::File;

use syshandle::{
    Context, Decode, Encode, Result, class,
    handle::{Event, OwnedHandle},
    interface,
};

/// The interface of the server under test.
#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b01")]
pub trait TestService {
    /// Returns the process IDs of the server and the client, and the client's user ID.
    fn peer_ids(&self, context: &Context) -> Result<PeerIds>;

    /// Returns the length of a file.
    fn len(&self, #[handle(file, read)] file: File) -> Result<u64>;

    /// Starts a background task that waits for the event, and writes its outcome to the file.
    fn write_outcome(
        &self,
        context: &Context,
        #[handle(file, write)] file: File,
        event: Event,
    ) -> Result<()>;

    /// Writes a line to the FIFO that `TESTKIT_FIFO` names, and never returns.
    fn hang(&self) -> Result<()>;

    /// Aborts the server's process.
    fn abort(&self) -> Result<()>;

    /// Returns the environment, arguments and descriptors of the server at its start, one line for
    /// each.
    fn startup_state(&self) -> Result<Vec<String>>;

    /// Returns the handle and the text.
    fn echo(&self, handle: OwnedHandle, text: String) -> Result<(OwnedHandle, String)>;

    /// Sets the event. This method has the number [`SET_METHOD`].
    fn set(&self, event: Event) -> Result<()>;

    /// Starts a background task that waits for the event. This method has the number
    /// [`WAIT_METHOD`].
    fn wait_for(&self, context: &Context, event: Event) -> Result<()>;

    /// Returns new events. This method has the number [`EVENTS_METHOD`].
    fn events(&self, count: u32) -> Result<Vec<Event>>;
}

/// The processes of a call and the client's user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PeerIds {
    /// Process ID of the server.
    pub server_pid: u32,
    /// Process ID of the client, as the kernel reports it to the server.
    pub client_pid: u32,
    /// User ID of the client, as the kernel reports it to the server.
    pub client_uid: u32,
}

class! {
    /// The class that the server under test serves.
    pub TEST_SERVICE: TestService = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b02";
}

/// The number of [`TestService::set`].
pub const SET_METHOD: u32 = 7;

/// The number of [`TestService::wait_for`].
pub const WAIT_METHOD: u32 = 8;

/// The number of [`TestService::events`].
pub const EVENTS_METHOD: u32 = 9;

/// Returns the result of [`TestService::peer_ids`] in this process.
pub fn peer_ids(context: &Context) -> PeerIds {
    let client = context.client();
    PeerIds {
        server_pid: std::process::id(),
        client_pid: client.pid,
        client_uid: client.uid.shown(),
    }
}
