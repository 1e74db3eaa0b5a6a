//! The types that the client and the server share.

use serde::{Deserialize, Serialize};
use zlink::{ReplyError, introspect};

/// The result of the method.
#[derive(Debug, Serialize, Deserialize, introspect::Type)]
pub struct Greeting {
    /// The greeting.
    pub text: String,
}

/// The errors of the interface. The method never returns one.
#[derive(Debug, PartialEq, ReplyError, introspect::ReplyError)]
#[zlink(interface = "org.example.hello")]
pub enum Error {
    /// The name is empty.
    Nobody,
}
