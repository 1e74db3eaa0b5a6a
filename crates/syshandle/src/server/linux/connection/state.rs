//! The state of a server connection: which thread receives its frames.

use syshandle_os::Interest;

/// The state of a connection. One thread at a time may receive frames, and the state says which.
///
/// ```text
/// Handshaking ─ hello ─→ Opening ─ opened ─→ InLoop ─ dedicate ─→ Dedicated
///                                              ↑ ←─ return_to_loop ─┘
/// any state ─ close ─→ Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// The client has not said hello. The poller watches the socket, and the thread of the loop
    /// receives.
    Handshaking,
    /// The object of the client is being created. No thread receives.
    Opening {
        /// What the poller watches the socket for; `None` if the socket has left the poller.
        watched: Option<Interest>,
    },
    /// The thread of the loop receives.
    InLoop {
        /// What the poller watches the socket for; `None` until the socket is added again.
        watched: Option<Interest>,
    },
    /// A thread is dedicated to this client and receives. The socket has left the poller.
    Dedicated,
    /// The connection has ended. No thread receives.
    Closed,
}

/// A change that the poller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PollerChange {
    Add(Interest),
    Change(Interest),
}

impl ConnectionState {
    /// Records the hello of the client.
    pub(super) fn hello(&mut self) {
        if *self == Self::Handshaking {
            *self = Self::Opening { watched: Some(Interest::WhileReadable) };
        }
    }

    /// Records that the object exists.
    pub(super) fn opened(&mut self) {
        if let Self::Opening { watched } = *self {
            *self = Self::InLoop { watched };
        }
    }

    /// Records that the socket leaves the poller because a frame arrived while the object is being
    /// created. Returns `false` if it is not being created, or the socket has left already.
    pub(super) fn leave_poller(&mut self) -> bool {
        match self {
            Self::Opening { watched } => watched.take().is_some(),
            _ => false,
        }
    }

    /// Records that this thread is dedicated to the client. The socket leaves the poller. Returns
    /// `false` if the poller does not watch the socket now.
    pub(super) fn dedicate(&mut self) -> bool {
        let may = matches!(self, Self::InLoop { watched: Some(_) });
        if may {
            *self = Self::Dedicated;
        }
        may
    }

    /// Records that no thread is dedicated to the client any more.
    pub(super) fn return_to_loop(&mut self) {
        if *self == Self::Dedicated {
            *self = Self::InLoop { watched: None };
        }
    }

    /// Records that the socket leaves the poller of one loop for that of another. Returns `false`
    /// if the connection can't move now.
    pub(super) fn move_to_other_loop(&mut self) -> bool {
        match self {
            Self::InLoop { watched } => watched.take().is_some(),
            _ => false,
        }
    }

    /// Returns the change after which the poller watches the socket for `wanted`.
    pub(super) fn poller_change(&self, wanted: Interest) -> Option<PollerChange> {
        match self {
            Self::InLoop { watched: None } => Some(PollerChange::Add(wanted)),
            Self::InLoop { watched: Some(watched) } if *watched != wanted => {
                Some(PollerChange::Change(wanted))
            }
            _ => None,
        }
    }

    /// Records that the poller watches the socket for `interest`.
    pub(super) fn watched_for(&mut self, interest: Interest) {
        if let Self::InLoop { watched } = self {
            *watched = Some(interest);
        }
    }

    /// Ends the connection. Returns `false` if it has ended before.
    pub(super) fn close(&mut self) -> bool {
        std::mem::replace(self, Self::Closed) != Self::Closed
    }

    pub(super) fn is_closed(self) -> bool {
        self == Self::Closed
    }

    pub(super) fn is_opening(self) -> bool {
        matches!(self, Self::Opening { .. })
    }

    pub(super) fn is_dedicated(self) -> bool {
        self == Self::Dedicated
    }

    /// Returns whether the poller watches the socket, so that the thread of the loop may receive.
    pub(super) fn is_watched(self) -> bool {
        matches!(self, Self::Handshaking | Self::InLoop { watched: Some(_) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of the driver, with the system calls that it makes.
    type Step = fn(&mut Model) -> bool;

    /// The real state, the socket's place in the poller, and the threads that may receive.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Model {
        state: ConnectionState,
        polled: Option<Interest>,
        /// Whether a thread creates the object.
        creates: bool,
        has_dedicated_thread: bool,
        has_ended: bool,
    }

    impl Model {
        /// Applies the change of the poller. The system may have no memory for it.
        fn update_poller(&mut self, wanted: Interest, has_memory: bool) {
            if let Some(change) = self.state.poller_change(wanted) {
                match change {
                    PollerChange::Add(_) => assert_eq!(self.polled, None, "added twice"),
                    PollerChange::Change(_) => assert_ne!(self.polled, None, "not in the poller"),
                }
                if has_memory {
                    self.polled = Some(wanted);
                    self.state.watched_for(wanted);
                }
            }
        }
    }

    /// All steps that threads may take. Each returns whether it was possible.
    const STEPS: [Step; 11] = [
        |model| {
            let may = model.state == ConnectionState::Handshaking;
            model.state.hello();
            model.creates |= may;
            may
        },
        |model| {
            let leaves = model.state.leave_poller();
            if leaves {
                assert_ne!(model.polled.take(), None);
            }
            leaves
        },
        |model| {
            model.state.opened();
            std::mem::take(&mut model.creates)
        },
        |model| {
            let may = model.state.dedicate();
            if may {
                assert_ne!(model.polled.take(), None);
                model.has_dedicated_thread = true;
            }
            may
        },
        |model| {
            model.state.return_to_loop();
            std::mem::take(&mut model.has_dedicated_thread)
        },
        |model| {
            let may = model.state.move_to_other_loop();
            if may {
                assert_ne!(model.polled.take(), None);
            }
            may
        },
        |model| update(model, Interest::WhileReadable, true),
        |model| update(model, Interest::WhileReadable, false),
        |model| update(model, Interest::WhileBoth, true),
        |model| update(model, Interest::WhileBoth, false),
        |model| {
            let first = model.state.close();
            assert_ne!(first, model.has_ended, "the end is reported once");
            model.has_ended = true;
            model.polled = None;
            first
        },
    ];

    fn update(model: &mut Model, wanted: Interest, has_memory: bool) -> bool {
        let before = *model;
        model.update_poller(wanted, has_memory);
        *model != before
    }

    fn check(model: &Model) {
        let state = model.state;
        assert_eq!(state.is_closed(), model.has_ended);
        if model.has_ended {
            return;
        }
        assert_eq!(state.is_dedicated(), model.has_dedicated_thread, "{model:?}");
        assert_eq!(state.is_opening(), model.creates, "{model:?}");
        // At most one thread receives: that of the loop, if the poller reports the socket, or the
        // dedicated one.
        assert!(!(state.is_watched() && model.has_dedicated_thread));
        assert!(!(state.is_watched() && model.creates), "a frame overtakes the hello");
        match state {
            ConnectionState::Opening { watched } | ConnectionState::InLoop { watched } => {
                assert_eq!(watched, model.polled);
            }
            ConnectionState::Handshaking => assert_eq!(model.polled, Some(Interest::WhileReadable)),
            ConnectionState::Dedicated => assert_eq!(model.polled, None),
            ConnectionState::Closed => unreachable!(),
        }
        // From each state, the loop receives again after the thread that has the client returns it.
        let mut later = *model;
        later.state.opened();
        later.state.return_to_loop();
        later.update_poller(Interest::WhileReadable, true);
        assert!(later.state.is_watched(), "{model:?} is stuck");
    }

    #[test]
    fn each_sequence_of_steps_keeps_one_receiver_and_loses_no_client() {
        let start = Model {
            state: ConnectionState::Handshaking,
            polled: Some(Interest::WhileReadable),
            creates: false,
            has_dedicated_thread: false,
            has_ended: false,
        };
        let (mut seen, mut next) = (vec![start], 0);
        while let Some(model) = seen.get(next).copied() {
            next += 1;
            check(&model);
            for step in STEPS {
                let mut after = model;
                step(&mut after);
                if !seen.contains(&after) {
                    seen.push(after);
                }
            }
        }
        let states =
            |is: fn(&ConnectionState) -> bool| seen.iter().filter(|model| is(&model.state)).count();
        assert_eq!(states(|state| state.is_opening()), 2);
        assert_eq!(states(|state| matches!(state, ConnectionState::InLoop { .. })), 3);
        assert_eq!(states(|state| state.is_dedicated()), 1);
    }
}
