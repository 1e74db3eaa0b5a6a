//! The identity of the process at the other end, from the RPC runtime.

/// A process as reported by the RPC runtime.
///
/// COM decides whether the user of the process may use the server, before a call arrives, by the
/// class's launch and access permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The number of the process.
    ///
    /// The number is for display only. It may refer to another process by the time it is used.
    pub pid: u32,
}

impl Credentials {
    /// Makes the credentials of the process with this number.
    pub const fn of_process(pid: u32) -> Self {
        Self { pid }
    }
}
