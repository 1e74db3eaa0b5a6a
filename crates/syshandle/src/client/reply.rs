//! A reply, and who waits for it.

use std::sync::{Arc, PoisonError};

use syshandle_wire::{Body, Status};

use crate::arrived::Arrived;
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, thread_local};

/// A call that waits for its reply; where the one who receives puts it.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Nobody may wait for it yet: then its reply takes nothing that others need.
    later: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Who is to be woken.
    thread: Option<Thread>,
    reply: Option<Reply>,
}

/// A reply, still in bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) body: ReplyBody,
    pub(crate) handles: Arrived,
    pub(crate) handles_lost: bool,
}

/// Where the bytes of a reply are.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Copy(Vec<u8>),
    /// In the server's memory: to be given back, by [`Connection::has_read`], once it was read.
    Shared(Body),
}

impl Waiting {
    /// The one of this thread, which waits for one call at a time.
    pub(super) fn of_this_thread() -> Arc<Self> {
        thread_local! {
            static WAITING: Arc<Waiting> = Arc::new(Waiting {
                later: false,
                state: Mutex::new(State { thread: Some(thread::current()), reply: None }),
            });
        }
        WAITING.with(Arc::clone)
    }

    /// One for a call that nobody waits for yet.
    pub(super) fn for_later() -> Arc<Self> {
        Arc::new(Self { later: true, state: Mutex::new(State { thread: None, reply: None }) })
    }

    /// This thread waits for it from now on.
    pub(super) fn wake_this_thread(&self) {
        self.state().thread = Some(thread::current());
    }

    /// Whether it may be long until somebody reads its reply.
    pub(super) fn is_for_later(&self) -> bool {
        self.later
    }

    pub(super) fn give(&self, reply: Reply) {
        let mut state = self.state();
        state.reply = Some(reply);
        if let Some(thread) = &state.thread {
            thread.unpark();
        }
    }

    pub(super) fn take_reply(&self) -> Option<Reply> {
        self.state().reply.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
