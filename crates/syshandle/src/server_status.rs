//! A private interface that every object of this crate implements in addition. Through it, clients
//! get the server's process and complete errors.
//!
//! COM reports little to a client: the client learns of its server's death only at the next call,
//! and an error is just a number. Through this interface a client gets the server's process, whose
//! end ends its waits. It also gets an event that reports failed background work, and complete
//! errors. A server that doesn't use this crate has no such interface, so a client notices its end
//! only by a failed call.
#![expect(dead_code, unreachable_pub, reason = "a generated client is made for users of a crate")]
#![expect(clippy::allow_attributes, reason = "the generated code is also for other crates")]

use syshandle_os::{ManualEvent, Process};
use syshandle_types::Guid;

use crate::{Result, interface};

/// Private interface of every object of this crate.
#[interface(iid = "5d1f6f0b-53c8-4f0a-9d3d-52f8a1f7c3e4")]
pub(crate) trait ServerStatus {
    /// Returns the server's process, and the event that is set when background work has failed.
    fn attach(&self) -> Result<(Process, ManualEvent)>;

    /// Returns the encoded fault of failed background work, or no bytes if none has failed.
    fn failure(&self) -> Result<Vec<u8>>;

    /// Returns the encoded fault of the last call that the client's process made in this chain of
    /// calls. Fails if there is none.
    fn fault(&self, logical_thread: Guid) -> Result<Vec<u8>>;
}
