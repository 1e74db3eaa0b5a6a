//! The interface and the class that the client and the server share.

use syshandle::{Result, class, interface};

/// Says hello.
#[interface(iid = "3b6f0c8e-54d5-4e8a-9a0e-7f1d52f8c001")]
pub trait Hello {
    /// Returns a greeting for the name.
    fn hello(&self, name: String) -> Result<String>;
}

class! {
    /// The class of the server.
    pub HELLO: Hello = "3b6f0c8e-54d5-4e8a-9a0e-7f1d52f8c002";
}
