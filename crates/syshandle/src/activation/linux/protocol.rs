//! The order of the steps of an activation and of a server's end, separate from their
//! implementation.
//!
//! Starting clients and ending servers interact through a few files and a lock, and any step may
//! come between any two steps of another process. This module defines which step follows which
//! answer, so that a model can explore every order (see the tests). A driver performs what each
//! step says and has no other effect that is visible to other processes.

/// A client's next step towards a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Connect, and wait for the greeting.
    Connect,
    /// Take the lock, if it is free.
    TryLock,
    /// Wait briefly, because another process holds the lock.
    Pause,
    /// With the lock: check whether a start has just failed.
    LookForFailure,
    /// Connect again, because another client may have started the server before the lock was free.
    ConnectAgain,
    /// End the program that timed out waiting for the greeting.
    EndHung,
    /// Check whether this process may start a server for all clients.
    CheckConfinement,
    /// Remove a socket that no process serves.
    RemoveOld,
    /// Write the start note.
    NoteStart,
    /// Create the socket. From now on other clients can queue on it.
    Listen,
    /// Connect to the own socket, so that the program finds this client in its queue.
    Queue,
    /// Start the program with the socket.
    Spawn,
    /// Wait for the greeting.
    Meet,
    /// Remove the notes, because the server serves.
    Settle,
    /// Determine how the program ended, or end it.
    EndStarted,
    /// Remove the program's socket and the start note.
    RemoveFailed,
    /// Write the failure note for waiting clients.
    NoteFailure,
    /// Final step: release the lock, if it was taken. There is a connection.
    Connected,
    /// Final step: release the lock, if it was taken. There is an error.
    Failed,
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// The step succeeded.
    Done,
    /// The step failed: the deadline passed, a failure was noted, or a system call failed.
    No,
    /// Another process holds the lock.
    Busy,
    /// The server has greeted.
    Greeted,
    /// No server serves the socket.
    Nobody,
    /// A program has the socket, but timed out waiting for the greeting.
    Hangs,
}

impl Step {
    /// The first step.
    pub(super) const FIRST: Self = Self::Connect;

    /// Returns the step that follows `answer`.
    pub(super) fn next(self, answer: Answer) -> Self {
        match (self, answer) {
            (Self::Connect | Self::ConnectAgain, Answer::Greeted) => Self::Connected,
            (Self::Connect, Answer::Nobody | Answer::Hangs) => Self::TryLock,
            (Self::TryLock, Answer::Done) => Self::LookForFailure,
            (Self::TryLock, Answer::Busy) => Self::Pause,
            (Self::Pause, Answer::Done) => Self::Connect,
            (Self::LookForFailure, Answer::Done) => Self::ConnectAgain,
            (Self::ConnectAgain, Answer::Nobody) => Self::CheckConfinement,
            (Self::ConnectAgain, Answer::Hangs) => Self::EndHung,
            (Self::EndHung, Answer::Done) => Self::CheckConfinement,
            (Self::CheckConfinement, Answer::Done) => Self::RemoveOld,
            (Self::RemoveOld, _) => Self::NoteStart,
            // Without the note, other clients would take a program that hangs for a slow one and
            // never end it.
            (Self::NoteStart, Answer::Done) => Self::Listen,
            (Self::Listen, Answer::Done) => Self::Queue,
            // If queuing fails, the client connects after the program runs.
            (Self::Queue, _) => Self::Spawn,
            (Self::Spawn, Answer::Done) => Self::Meet,
            (Self::Listen | Self::Spawn, _) => Self::RemoveFailed,
            (Self::Meet, Answer::Greeted) => Self::Settle,
            (Self::Meet, Answer::Nobody | Answer::Hangs) => Self::EndStarted,
            (Self::Settle, _) => Self::Connected,
            (Self::EndStarted, _) => Self::RemoveFailed,
            (Self::RemoveFailed, _) => Self::NoteFailure,
            (Self::Connected, _) => Self::Connected,
            // A slow program continues to run for other clients, so nothing is removed.
            _ => Self::Failed,
        }
    }
}
