//! The steps of an activation and of a server's end, apart from what they do.
//!
//! Clients that come and servers that go meet in a few files and a lock, and each step may come
//! between any two of another process. Which step follows which answer is all here, so that a model
//! can take them in every order that there is: see the tests. Whoever drives them does what each
//! step says, and nothing else that others see.

/// What a client does next to get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Connect, and wait for the greeting.
    Connect,
    /// Take the lock, if it is free.
    TryLock,
    /// Wait a little: somebody else has the lock.
    Pause,
    /// Under the lock: look whether a start has failed just now.
    LookForFailure,
    /// Connect once more: somebody may have started the server before the lock was free.
    ConnectAgain,
    /// End the program that never greets.
    EndHung,
    /// Look whether this process may start a server for all.
    CheckConfinement,
    /// Remove a socket that nobody serves.
    RemoveOld,
    /// Note that the server is being started.
    NoteStart,
    /// Make the socket: from now on others queue on it.
    Listen,
    /// Connect to the own socket: the program finds this client there at once.
    Queue,
    /// Start the program with the socket.
    Spawn,
    /// Wait for the greeting.
    Meet,
    /// Forget what was noted: it serves.
    Settle,
    /// See how the program ended, or end it.
    EndStarted,
    /// Remove its socket, and the note that it is being started.
    RemoveFailed,
    /// Note the failure, for those who wait.
    NoteFailure,
    /// Let go of the lock, if it was taken: there is a connection.
    Connected,
    /// Let go of the lock, if it was taken: there is an error.
    Failed,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// It can't be done: the time is over, a failure was noted, the system failed.
    No,
    /// Somebody else has the lock.
    Busy,
    /// The server greets.
    Greeted,
    /// Nobody serves there.
    Nobody,
    /// Somebody has the socket who will never greet.
    Hangs,
}

impl Step {
    /// The first one.
    pub(super) const FIRST: Self = Self::Connect;

    /// The next one.
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
            // Without the note a program that hangs would be taken for a slow one, and never ended.
            (Self::NoteStart, Answer::Done) => Self::Listen,
            (Self::Listen, Answer::Done) => Self::Queue,
            // Who doesn't queue yet connects when the program runs.
            (Self::Queue, _) => Self::Spawn,
            (Self::Spawn, Answer::Done) => Self::Meet,
            (Self::Listen | Self::Spawn, _) => Self::RemoveFailed,
            (Self::Meet, Answer::Greeted) => Self::Settle,
            (Self::Meet, Answer::Nobody | Answer::Hangs) => Self::EndStarted,
            (Self::Settle, _) => Self::Connected,
            (Self::EndStarted, _) => Self::RemoveFailed,
            (Self::RemoveFailed, _) => Self::NoteFailure,
            (Self::Connected, _) => Self::Connected,
            // A program that is only slow is left to the others: so nothing is removed.
            _ => Self::Failed,
        }
    }
}

/// What a server does next that nobody has used for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Leave {
    /// Take the lock, if it is free: whoever has it is about to connect, or to start a server.
    TryLock,
    /// Under the lock, and while nobody is let in: look whether anybody is there.
    Look,
    /// Remove the socket, if it is the own one: from now on nobody finds it.
    RemoveSocket,
    /// Refuse those who have found it before.
    ShutDown,
    /// Let go of those who queue: none of them was greeted.
    DropQueue,
    /// Let go of the lock, and end.
    End,
    /// Let go of the lock, if it was taken, and stay.
    Stay,
}

impl Leave {
    /// The next one; `done` says whether it could be done, or is so.
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
