//! The private interface that every object of ours has besides: whose it is, and what went wrong.
//!
//! COM tells a client little: that its server died shows when it calls again, and of an error there
//! is a number. By this a client gets the server's process, to end its waits when that does; an
//! event, for work in the background that failed; and the whole of an error. An object of a server
//! that isn't ours doesn't have it, and then only calls end.
#![expect(dead_code, unreachable_pub, reason = "a generated client is made for users of a crate")]

use syshandle_os::{ManualEvent, Process};
use syshandle_wire::Guid;

use crate::{Result, interface};

/// What every object of ours has besides.
#[interface(iid = "5d1f6f0b-53c8-4f0a-9d3d-52f8a1f7c3e4")]
pub(crate) trait Life {
    /// The server's process, and the event that is set when work in the background has failed.
    fn attach(&self) -> Result<(Process, ManualEvent)>;

    /// Why work in the background failed; nothing while it hasn't.
    fn failure(&self) -> Result<Vec<u8>>;

    /// What the last call of the client's process in this chain of calls was told, when that was an
    /// error; nothing otherwise.
    fn fault(&self, logical_thread: Guid) -> Result<Vec<u8>>;
}
