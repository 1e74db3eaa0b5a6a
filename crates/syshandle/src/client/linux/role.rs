//! Receiver role: of all that wait for replies on a connection, one receives at a time.
//!
//! Threads that wait take turns: one waits in the kernel and receives for all, the others sleep.
//! Tasks never hold the role while they wait. A *driver* receives for them: the task of a tokio
//! runtime, or an event loop of the program. It takes the role only while it reads frames that are
//! there already, and the kernel tells it when more arrive.

use super::reply::WaiterNumber;

/// The receiver role of a connection, and the threads that sleep because another one has it. `T`
/// identifies a thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReceiverRole<T> {
    state: RoleState,
    /// Each sleeping thread, with the waiter of its reply if it waits for one.
    asleep: Vec<(T, Option<WaiterNumber>)>,
}

/// *Unread* means that the kernel told a driver about frames which may still be in the socket,
/// because a thread had the role. The kernel doesn't tell the driver again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RoleState {
    Free,
    FreeUnread,
    Taken,
    TakenUnread,
}

/// The next receiver, after the role became free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Successor<T> {
    /// A thread, which has to be woken.
    Thread(T),
    /// The drivers have to be called.
    Drivers,
}

impl<T> Default for ReceiverRole<T> {
    fn default() -> Self {
        Self { state: RoleState::Free, asleep: Vec::new() }
    }
}

impl<T: Clone + PartialEq> ReceiverRole<T> {
    /// Takes the role for a thread. Returns `false` if another one has it.
    #[inline]
    pub(super) fn enter(&mut self) -> bool {
        self.state = match self.state {
            RoleState::Free => RoleState::Taken,
            RoleState::FreeUnread => RoleState::TakenUnread,
            RoleState::Taken | RoleState::TakenUnread => return false,
        };
        true
    }

    /// Takes the role for a driver, which reads all frames that are there. If another one has the
    /// role, returns `false` and records that frames may be unread.
    pub(super) fn enter_as_driver(&mut self) -> bool {
        let is_free = matches!(self.state, RoleState::Free | RoleState::FreeUnread);
        self.state = if is_free { RoleState::Taken } else { RoleState::TakenUnread };
        is_free
    }

    /// Gives up the role.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.state = match self.state {
            RoleState::Free | RoleState::Taken => RoleState::Free,
            RoleState::FreeUnread | RoleState::TakenUnread => RoleState::FreeUnread,
        };
    }

    /// Records that frames may be unread, after a driver has left some.
    pub(super) fn mark_unread(&mut self) {
        self.state = match self.state {
            RoleState::Free | RoleState::FreeUnread => RoleState::FreeUnread,
            RoleState::Taken | RoleState::TakenUnread => RoleState::TakenUnread,
        };
    }

    /// Chooses the next receiver, if the role is free. The one who had it last must call this
    /// before it returns to its caller.
    #[inline]
    pub(super) fn successor(&mut self, tasks_wait: bool) -> Option<Successor<T>> {
        match self.state {
            RoleState::Taken | RoleState::TakenUnread => None,
            RoleState::Free => self.asleep.pop().map(|(thread, _)| Successor::Thread(thread)),
            RoleState::FreeUnread => match self.asleep.pop() {
                Some((thread, _)) => Some(Successor::Thread(thread)),
                None => tasks_wait.then_some(Successor::Drivers),
            },
        }
    }

    /// Returns whether no one receives.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, RoleState::Free | RoleState::FreeUnread)
    }

    /// Returns whether a task that begins to wait has to call the drivers.
    pub(super) fn needs_drivers(&self) -> bool {
        self.state == RoleState::FreeUnread && self.asleep.is_empty()
    }

    /// Records that a thread sleeps until it is woken.
    pub(super) fn sleep(&mut self, thread: T, waiter: Option<WaiterNumber>) {
        self.asleep.push((thread, waiter));
    }

    /// Records that a thread no longer sleeps.
    pub(super) fn woke(&mut self, thread: &T) {
        self.asleep.retain(|(asleep, _)| asleep != thread);
    }

    /// Returns the sleeping thread of a waiter.
    pub(super) fn sleeper(&self, waiter: WaiterNumber) -> Option<&T> {
        let mut asleep = self.asleep.iter();
        asleep.find(|(_, waits_for)| *waits_for == Some(waiter)).map(|(thread, _)| thread)
    }

    /// Returns all sleeping threads, which have to be woken because the connection has ended.
    pub(super) fn wake_all(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.asleep).into_iter().map(|(thread, _)| thread)
    }
}
