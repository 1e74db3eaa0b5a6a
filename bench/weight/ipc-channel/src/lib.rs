//! The messages that the client and the server share.

use ipc_channel::ipc::IpcSender;
use serde::{Deserialize, Serialize};

/// A call: a name, and the channel to which its greeting is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello(pub String, pub IpcSender<String>);
