//! The end of a server: after the idle timeout, or when the server is told to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::activity::{ActivityKind, ActivityLevel};
use super::event_loop::EndingStep;
use super::timers::Timer;
use super::{Reactor, surely};
use crate::in_flight;
use crate::sync::now;

impl Reactor {
    /// Starts the idle timer.
    pub(crate) fn count_idle_time(&self) {
        if let Some(idle) = self.settings.idle.filter(|idle| !idle.is_zero()) {
            self.timers.set(now() + idle, Timer::Idle);
        }
    }

    /// Ends the server if its last activity has ended: all work during a drain, or everything if
    /// the idle timeout is zero.
    pub(crate) fn check_idle(self: &Arc<Self>) {
        if self.is_draining() && !self.activity.is_working() {
            self.finish();
        }
        match self.settings.idle {
            Some(Duration::ZERO) if self.activity.close_if_idle() => self.stop(),
            _ => {}
        }
    }

    /// Ends the server if it has been idle for the whole timeout. Otherwise restarts the timer.
    pub(super) fn end_if_idle(self: &Arc<Self>) {
        let look = self.activity.look();
        if look == ActivityLevel::Quiet {
            // Otherwise a client that died while a forked child holds its end of the connection
            // would keep this server alive as long as the child lives.
            self.notify(EndingStep::CloseDead);
        }
        // A client that has handles to receive counts as present, because the next server would not
        // count these handles.
        if look == ActivityLevel::Idle && in_flight::look_at_kept() == 0 {
            if !self.all_sources().iter().all(|source| source.may_end(self)) {
                return self.count_idle_time();
            }
            crate::log::debug!("no client is connected: the server ends");
            self.stop();
        } else {
            self.count_idle_time();
        }
    }

    /// Tells all sources of a step towards the end of the server.
    fn notify(self: &Arc<Self>, step: EndingStep) {
        for source in self.all_sources() {
            source.on_ending(self, step);
        }
    }

    /// Starts the drain: accepts no more clients and calls, lets running methods and tasks end, and
    /// then ends the server.
    pub(crate) fn drain(self: &Arc<Self>) {
        // The server must not end before each source was told.
        let _keep_alive = self.keep_alive(ActivityKind::Work);
        if self.draining.swap(true, Ordering::SeqCst) {
            return;
        }
        crate::log::debug!("the server was told to end");
        self.notify(EndingStep::Drain);
        self.timers.set(now() + self.settings.drain, Timer::Drain);
    }

    /// Returns whether the server is draining and refuses new calls.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Ends the background tasks that still wait when the drain timeout has passed. They get the
    /// outcome `Stopping`.
    pub(super) fn tell_tasks(self: &Arc<Self>) {
        // Counts this function as a task, so that no task ends the server before all are told.
        self.untold.store(1, Ordering::SeqCst);
        // The callback of a task may block.
        self.timers.set(now() + LAST_WORDS, Timer::Stop);
        self.notify(EndingStep::EndTasks);
        self.task_was_told();
    }

    /// Counts a background task that will end with the outcome `Stopping`, and calls
    /// [`Reactor::task_was_told`] then.
    pub(crate) fn expect_end_of_task(&self) {
        self.untold.fetch_add(1, Ordering::SeqCst);
    }

    /// Records that a background task got the outcome `Stopping`. The last one ends the server.
    pub(crate) fn task_was_told(self: &Arc<Self>) {
        if self.untold.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.finish();
        }
    }

    /// Closes all connections, and ends the server when their objects are released. Does not wait
    /// for methods, or for destructors that take longer than [`LAST_WORDS`]: the second call ends
    /// the server.
    ///
    /// Runs no user code, which may block.
    pub(super) fn finish(self: &Arc<Self>) {
        if self.closed.load(Ordering::SeqCst) {
            return self.stop();
        }
        for item in self.workers.take_work() {
            // Destructors of the task's values could block.
            std::mem::forget(item.refuse(self));
        }
        self.notify(EndingStep::Close);
        self.closed.store(true, Ordering::SeqCst);
        match self.activity.is_working() {
            true => drop(self.timers.set(now() + LAST_WORDS, Timer::Stop)),
            false => self.stop(),
        }
    }

    /// Returns whether the process has received `SIGTERM`.
    pub(super) fn is_told_to_end(&self) -> bool {
        self.told_to_end.load(Ordering::Relaxed)
    }

    /// Returns whether the server should have ended by now. The loops that end it may have no
    /// thread, or a full log may block their threads. In that case the watchdog ends the server.
    pub(super) fn is_overdue(&self, told_to_end: Instant, now: Instant) -> bool {
        now.saturating_duration_since(told_to_end) > self.settings.drain.saturating_add(OVERDUE)
    }

    /// Ends all threads, each after its present work.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        surely(|| self.stop.set_unshared());
        self.workers.dismiss();
        self.watchdog.wake_to_end();
    }

    /// Returns whether the threads are to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Limit of the time that the callbacks of background tasks, and then destructors, have when the
/// server ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Limit of the time that the end may take after the drain timeout: twice [`LAST_WORDS`] and one
/// second more.
const OVERDUE: Duration = Duration::from_secs(3);
