//! How a side waits for frames of a ring, and how its peer wakes it.
//!
//! A side publishes how it waits. A peer that has written a frame then reads that word, and wakes
//! the side if it sleeps. Each of the two stores first and loads afterwards, with a fence between.
//! So at least one of them sees the store of the other: either the side finds the frame before it
//! sleeps, or the peer finds out that the side sleeps.
//!
//! [`ARM`] and [`WAKE`] are the steps of both in their order. The model in `tests/model.rs` runs
//! these steps in all interleavings, with store buffers.

/// How a side waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Waiting {
    /// A thread will look at the ring before it sleeps.
    Running,
    /// A thread sleeps in the futex of the peer's bell.
    Futex,
    /// A thread or a poller waits for the socket.
    Socket,
}

/// A step by which a side announces how it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ArmStep {
    /// Loads the peer's bell, for the futex.
    LoadBell,
    Publish,
    Fence,
    /// Looks for a frame. Only if there is none, the side may sleep.
    Look,
}

/// The steps by which a side announces how it waits.
pub(super) const ARM: [ArmStep; 4] =
    [ArmStep::LoadBell, ArmStep::Publish, ArmStep::Fence, ArmStep::Look];

/// A step of a side that has written a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WakeStep {
    Fence,
    /// Loads how the peer waits.
    LoadWaiting,
    /// Wakes the peer, if it sleeps.
    Wake,
}

/// The steps of a side that has written a frame.
pub(super) const WAKE: [WakeStep; 3] = [WakeStep::Fence, WakeStep::LoadWaiting, WakeStep::Wake];

/// The word of a side that says how it waits. Each change increments its epoch, so that the peer
/// wakes it once for each time that it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WaitingWord(u64);

impl WaitingWord {
    /// The word in new memory.
    pub(super) const START: Self = Self(0);

    /// Returns the word after a change.
    #[must_use]
    pub(super) fn next(self, waiting: Waiting) -> Self {
        let mode = match waiting {
            Waiting::Running => RUNNING,
            Waiting::Futex => FUTEX,
            Waiting::Socket => SOCKET,
        };
        Self((self.0 & !MODE).wrapping_add(EPOCH) | mode)
    }

    /// Returns how the side waits. A peer's word may have any value; an unknown one counts as
    /// running.
    #[inline]
    pub(super) fn waiting(self) -> Waiting {
        match self.0 & MODE {
            FUTEX => Waiting::Futex,
            SOCKET => Waiting::Socket,
            _ => Waiting::Running,
        }
    }

    #[inline]
    pub(super) fn of(word: u64) -> Self {
        Self(word)
    }

    #[inline]
    pub(super) fn as_u64(self) -> u64 {
        self.0
    }
}

/// Decides whether a side that has written a frame wakes its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waker {
    /// The word for which the peer was woken last.
    woken: WaitingWord,
    /// The number of changes of this side's bell.
    bell: u64,
}

/// What wakes a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WakeAction {
    Nothing,
    /// Stores this value to the bell, and wakes the futex.
    Futex(u64),
    /// Sends a bell through the socket.
    Socket,
}

impl Waker {
    pub(super) const START: Self = Self { woken: WaitingWord::START, bell: 0 };

    /// Returns what wakes a peer that waits like this. A peer that sleeps is woken once for each
    /// epoch, so a false word costs at most one system call for each frame.
    #[inline]
    pub(super) fn wake(&mut self, peer: WaitingWord) -> WakeAction {
        let waiting = peer.waiting();
        if waiting == Waiting::Running || peer == self.woken {
            return WakeAction::Nothing;
        }
        self.woken = peer;
        match waiting {
            Waiting::Futex => {
                self.bell = self.bell.wrapping_add(1);
                WakeAction::Futex(self.bell)
            }
            Waiting::Running | Waiting::Socket => WakeAction::Socket,
        }
    }
}

/// The part of the word that says how the side waits.
const MODE: u64 = 0b11;
const RUNNING: u64 = 0;
const FUTEX: u64 = 1;
const SOCKET: u64 = 2;

/// The unit of the epoch, in the other bits.
const EPOCH: u64 = 4;
