//! The order of the steps of an idle exit, separate from their implementation.
//!
//! An ending server and starting clients interact through the runtime files of the registration,
//! and any step may come between any two steps of another process. The tests explore every order
//! of these steps and of the steps of an activation.

/// The next step of an idle server towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IdleExitStep {
    /// Take the lock, if it is free. If another process holds it, that process is about to connect
    /// or to start a server.
    TryLock,
    /// Check whether any client is connected. The server holds the lock and accepts no clients
    /// during this check.
    Look,
    /// Remove the socket file if it still belongs to this server. From now on no client finds it.
    RemoveSocket,
    /// Shut the listening socket down, so that clients which already know it can't connect.
    ShutDown,
    /// Disconnect the queued clients, none of which was greeted.
    DropQueue,
    /// Release the lock and end.
    End,
    /// Release the lock, if it was taken, and continue to serve.
    Stay,
}

impl IdleExitStep {
    /// Returns the step after this one. `done` tells whether this step succeeded, or whether its
    /// condition holds.
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
