//! The order of the steps of an idle exit, separate from their implementation.
//!
//! An ending server and starting clients interact through the runtime files of the registration,
//! and any step may come between any two steps of another process. The tests explore every order
//! of these steps and of the steps of an activation.

/// The next step of an idle server towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IdleExitStep {
    /// Take the lock, if it is free. Another holder is about to connect or to start a server.
    TryLock,
    /// With the lock, and while no client is accepted: check whether any client is connected.
    Look,
    /// Remove the socket if it is still this server's. From now on no client finds it.
    RemoveSocket,
    /// Refuse clients that have already opened the path.
    ShutDown,
    /// Disconnect the queued clients, none of which was greeted.
    DropQueue,
    /// Release the lock and end.
    End,
    /// Release the lock, if it was taken, and continue to serve.
    Stay,
}

impl IdleExitStep {
    /// Returns the next step. `done` is whether the step succeeded, or whether its condition holds.
    pub(crate) fn next(self, done: bool) -> Self {
        match self {
            Self::TryLock if done => Self::Look,
            Self::Look if done => Self::RemoveSocket,
            Self::TryLock | Self::Look | Self::Stay => Self::Stay,
            Self::RemoveSocket => Self::ShutDown,
            Self::ShutDown => Self::DropQueue,
            Self::DropQueue | Self::End => Self::End,
        }
    }
}
