//! Drivers of a connection, which receive for tasks and for pending calls without a waiting thread.

use std::task::Waker;

#[cfg(feature = "tokio")]
pub(super) use tokio::runtime::Id as RuntimeId;

/// Without tokio there are no runtimes.
#[cfg(not(feature = "tokio"))]
pub(super) type RuntimeId = std::convert::Infallible;

/// Drivers of a connection.
///
/// Each runtime has its own driver, because the tasks of a runtime stop while no thread runs the
/// runtime.
#[derive(Debug, Default)]
pub(super) struct Drivers {
    runtimes: Vec<RuntimeDriver>,
    /// Whether an event loop of the program dispatches.
    has_event_loop: bool,
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

impl Drivers {
    /// Records that an event loop of the program dispatches.
    pub(super) fn add_event_loop(&mut self) {
        self.has_event_loop = true;
    }

    /// Returns whether an event loop of the program dispatches.
    pub(super) fn has_event_loop(&self) -> bool {
        self.has_event_loop
    }

    /// Lets all drivers dispatch. Returns the tasks to wake.
    pub(super) fn call(&mut self) -> impl Iterator<Item = Waker> {
        self.runtimes.iter_mut().filter_map(|driver| {
            driver.is_called = true;
            driver.waker.take()
        })
    }
}

#[cfg(feature = "tokio")]
impl Drivers {
    /// Returns whether a runtime has a driver.
    pub(super) fn has(&self, runtime: RuntimeId) -> bool {
        self.runtimes.iter().any(|driver| driver.runtime == runtime)
    }

    /// Adds the driver of a runtime. Returns `false` if the runtime has one.
    pub(super) fn add(&mut self, runtime: RuntimeId) -> bool {
        let is_new = !self.has(runtime);
        if is_new {
            self.runtimes.push(RuntimeDriver { runtime, waker: None, is_called: true });
        }
        is_new
    }

    /// Removes the driver of a runtime.
    pub(super) fn remove(&mut self, runtime: RuntimeId) {
        self.runtimes.retain(|driver| driver.runtime != runtime);
    }

    /// Returns whether the driver of this runtime was called. The next call wakes `waker`.
    pub(super) fn take_call(&mut self, runtime: RuntimeId, waker: &Waker) -> bool {
        let driver = self.runtimes.iter_mut().find(|driver| driver.runtime == runtime);
        driver.is_some_and(|driver| {
            driver.waker = Some(waker.clone());
            std::mem::take(&mut driver.is_called)
        })
    }
}
