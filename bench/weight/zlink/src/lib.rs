//! The types that the client and the server share.

use serde::{Deserialize, Serialize};
use zlink::{ReplyError, introspect};

/// The result of the method.
#[derive(Debug, Serialize, Deserialize, introspect::Type)]
pub struct Greeting {
    /// Its text.
    pub text: String,
}

/// The errors of the interface, which the method doesn't return.
#[derive(Debug, PartialEq, ReplyError, introspect::ReplyError)]
#[zlink(interface = "org.example.hello")]
pub enum Error {
    /// Nobody to greet.
    Nobody,
}
