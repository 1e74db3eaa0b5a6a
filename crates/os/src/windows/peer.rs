//! Who is at the other end, from the RPC runtime.

/// Whom the RPC runtime names: a process.
///
/// Whether its user may use the server is what COM itself decides, before a call arrives: by the
/// class's launch and access permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The process.
    ///
    /// A number to show, not to act on: it may mean another process by the time it is used.
    pub pid: u32,
}

impl Credentials {
    /// The process of this number.
    pub const fn of_process(pid: u32) -> Self {
        Self { pid }
    }
}
