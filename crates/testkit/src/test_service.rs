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
    /// Returns the server's process, and the client's process as the server sees it.
    fn peer_ids(&self, context: &Context) -> Result<PeerIds>;

    /// Returns the length of a file.
    fn len(&self, #[handle(file, read)] file: File) -> Result<u64>;

    /// Starts a task that writes its outcome to the file.
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

    /// Returns the environment, arguments and descriptors of the server at its start, a line for each.
    fn startup_state(&self) -> Result<Vec<String>>;

    /// Returns the handle and the text.
    fn echo(&self, handle: OwnedHandle, text: String) -> Result<(OwnedHandle, String)>;

    /// Sets the event. The number of this method is [`SET_METHOD`].
    fn set(&self, event: Event) -> Result<()>;

    /// Starts a background task that waits for the event. The number of this method is
    /// [`WAIT_METHOD`].
    fn wait_for(&self, context: &Context, event: Event) -> Result<()>;
}

/// The processes of a call, and the client's user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PeerIds {
    /// The server's process.
    pub server_pid: u32,
    /// The client's process, as the kernel reports it.
    pub client_pid: u32,
    /// The client's user, as the kernel reports it.
    pub client_uid: u32,
}

class! {
    /// The class of the server under test.
    pub TEST_SERVICE: TestService = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b02";
}

/// The number of [`TestService::set`].
pub const SET_METHOD: u32 = 7;

/// The number of [`TestService::wait_for`].
pub const WAIT_METHOD: u32 = 8;

/// Implements [`TestService::peer_ids`] in this process.
pub fn peer_ids(context: &Context) -> PeerIds {
    let client = context.client();
    PeerIds {
        server_pid: std::process::id(),
        client_pid: client.pid,
        client_uid: client.uid.shown(),
    }
}
