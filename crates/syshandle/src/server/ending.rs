//! How a server ends: when nobody has been there for long enough, or when it is told to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::event_loop::Source;
use super::jobs::Outcome;
use super::reactor::{Reactor, surely};
use super::timers::Timer;
use crate::sync::now;

impl Reactor {
    /// Starts to count the time that nobody is there.
    pub(crate) fn count_idle_time(&self) {
        if let Some(idle) = self.settings.idle
            && !idle.is_zero()
        {
            self.timers.set(now() + idle, Timer::Idle);
        }
    }

    /// Whether what has just ended was the last thing to wait for.
    pub(super) fn check_idle(self: &Arc<Self>) {
        if self.is_draining() && !self.activity.is_working() {
            self.end_drain();
        }
        match self.settings.idle {
            Some(Duration::ZERO) if self.activity.is_idle() => self.stop(),
            _ => {}
        }
    }

    /// Ends, if nobody is there; else looks again later.
    pub(super) fn end_if_idle(self: &Arc<Self>) {
        if self.activity.is_idle_since_last_look() {
            for (_, source) in self.all_sources() {
                if let Source::Entrance(entrance) = source
                    && !entrance.close_if_idle(self)
                {
                    return self.count_idle_time();
                }
            }
            tracing::debug!("nobody is there: the server ends");
            self.stop();
        } else {
            self.count_idle_time();
        }
    }

    /// Takes no more clients and calls, lets what runs come to its end, and ends.
    pub(super) fn drain(self: &Arc<Self>) {
        if self.draining.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::debug!("the server was told to end");
        for (_, source) in self.all_sources() {
            if let Source::Entrance(entrance) = source {
                entrance.close(self);
            }
        }
        self.timers.set(now() + self.settings.drain, Timer::Drain);
    }

    /// Whether it is about to end, and takes no new calls.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Ends what has had time enough, and everything.
    pub(super) fn end_drain(self: &Arc<Self>) {
        for (_, source) in self.all_sources() {
            if let Source::Job(job) = source {
                job.end(self, Outcome::Stopping);
            }
        }
        for (_, source) in self.all_sources() {
            if let Source::Connection(connection) = source {
                connection.close(self);
            }
        }
        self.stop();
    }

    /// Ends all threads, each when it has done what it is at.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        surely(|| self.stop.set());
        self.crew.dismiss();
        self.sentinel.wake_to_end();
    }

    /// Whether its threads end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}
