//! Tasks that wait on a connection, and the drivers that receive for them and for pending calls
//! without a waiting thread.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

#[cfg(feature = "tokio")]
pub(super) use tokio::runtime::Id as RuntimeId;

use super::reply::WaiterNumber;

/// Without tokio there are no runtimes.
#[cfg(not(feature = "tokio"))]
type RuntimeId = std::convert::Infallible;

/// Tasks and drivers of a connection.
///
/// Each runtime has its own driver, because the tasks of a runtime stop while no thread runs the
/// runtime.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// Tasks to wake when their waiter has a result.
    waiting: BTreeMap<WaiterNumber, Waker>,
    drivers: Vec<RuntimeDriver>,
    /// Whether an event loop of the program dispatches.
    has_event_loop: bool,
    watch: Watch,
    /// Tasks and drivers to wake once the connection is unlocked, because a waker may run any code.
    woken: Vec<Waker>,
}

/// Events other than a readable socket for which the drivers dispatch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// Time of the next dispatch.
    pub(super) next: Option<Instant>,
    /// Whether room in the socket is an event.
    pub(super) room: bool,
}

/// Task that drives a connection in one runtime.
#[derive(Debug)]
struct RuntimeDriver {
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "there are no runtimes"))]
    runtime: RuntimeId,
    waker: Option<Waker>,
    /// Whether the driver has to dispatch although the socket is not readable.
    is_called: bool,
}

impl Tasks {
    /// Registers a task that waits.
    pub(super) fn wait(&mut self, waiter: WaiterNumber, waker: &Waker) {
        self.waiting.insert(waiter, waker.clone());
    }

    /// Forgets a task.
    pub(super) fn forget(&mut self, waiter: WaiterNumber) {
        self.waiting.remove(&waiter);
    }

    /// Returns whether tasks wait.
    #[inline]
    pub(super) fn any_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Wakes the task of a waiter.
    pub(super) fn wake(&mut self, waiter: WaiterNumber) {
        self.woken.extend(self.waiting.remove(&waiter));
    }

    /// Wakes tasks and threads that wait for streams.
    #[inline]
    pub(super) fn wake_streams(&mut self, woken: Vec<Waker>) {
        self.woken.extend(woken);
    }

    /// Wakes all tasks.
    pub(super) fn wake_all(&mut self) {
        self.woken.extend(std::mem::take(&mut self.waiting).into_values());
    }

    /// Lets all drivers dispatch.
    pub(super) fn call_drivers(&mut self) {
        self.woken.extend(self.drivers.iter_mut().filter_map(|driver| {
            driver.is_called = true;
            driver.waker.take()
        }));
    }

    /// Lets all drivers dispatch, unless they watch for these events.
    pub(super) fn require(&mut self, required: Watch) {
        let is_late = |next| self.watch.next.is_none_or(|watched| watched > next);
        if required.next.is_some_and(is_late) || required.room && !self.watch.room {
            self.call_drivers();
        }
    }

    /// Returns whether the time of the next dispatch has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.watch.next.is_some_and(|next| next <= now)
    }

    /// Sets the events for which the drivers dispatch from now on. Keeps an earlier time that
    /// another driver waits for.
    pub(super) fn set_watch(&mut self, now: Instant, watch: Watch) -> Watch {
        let other = self.watch.next.filter(|next| *next > now);
        self.watch = Watch { next: [watch.next, other].into_iter().flatten().min(), ..watch };
        self.watch
    }

    /// Returns whether there are tasks to wake.
    #[inline]
    pub(super) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Takes the tasks to wake.
    #[cold]
    pub(super) fn take_woken(&mut self) -> Box<[Waker]> {
        std::mem::take(&mut self.woken).into()
    }

    /// Records that an event loop of the program dispatches.
    pub(super) fn add_event_loop(&mut self) {
        self.has_event_loop = true;
    }

    /// Returns whether an event loop of the program dispatches.
    pub(super) fn has_event_loop(&self) -> bool {
        self.has_event_loop
    }
}

#[cfg(feature = "tokio")]
impl Tasks {
    /// Returns whether a runtime has a driver.
    pub(super) fn has_driver(&self, runtime: RuntimeId) -> bool {
        self.drivers.iter().any(|driver| driver.runtime == runtime)
    }

    /// Adds the driver of a runtime. Returns `false` if the runtime has one.
    pub(super) fn add_driver(&mut self, runtime: RuntimeId) -> bool {
        let is_new = !self.has_driver(runtime);
        if is_new {
            self.drivers.push(RuntimeDriver { runtime, waker: None, is_called: true });
        }
        is_new
    }

    /// Removes the driver of a runtime that ends. Wakes all tasks, so that the tasks of
    /// other runtimes start a driver there.
    pub(super) fn remove_driver(&mut self, runtime: RuntimeId) {
        self.drivers.retain(|driver| driver.runtime != runtime);
        self.wake_all();
    }

    /// Returns whether the driver of this runtime was called. The next call wakes `waker`.
    pub(super) fn take_call(&mut self, runtime: RuntimeId, waker: &Waker) -> bool {
        let driver = self.drivers.iter_mut().find(|driver| driver.runtime == runtime);
        driver.is_some_and(|driver| {
            driver.waker = Some(waker.clone());
            std::mem::take(&mut driver.is_called)
        })
    }
}
