//! Received references. A server gets the client of an object that a call passes to it, and needs
//! nothing else of the client side.

use syshandle_com::ReceivedHandle;

use crate::Result;
use crate::client::windows;
use crate::stand_in::HandleOrObject;

/// Converts a handle or reference that COM passed to this process. Must run on a thread of the
/// apartment.
pub(crate) fn receive(received: ReceivedHandle) -> Result<HandleOrObject> {
    windows::receive(received)
}
