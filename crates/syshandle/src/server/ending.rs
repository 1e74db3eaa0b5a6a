//! How a server ends: when nobody has been there for long enough, or when it is told to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use syshandle_os::Peer;

use super::activity::Look;
use super::event_loop::Source;
use super::jobs::Outcome;
use super::reactor::{Reactor, surely};
use super::timers::Timer;
use crate::in_flight;
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
            self.finish();
        }
        match self.settings.idle {
            Some(Duration::ZERO) if self.activity.is_idle() => self.stop(),
            _ => {}
        }
    }

    /// Ends, if nobody is there; else looks again later.
    pub(super) fn end_if_idle(self: &Arc<Self>) {
        let look = self.activity.look();
        if look == Look::Quiet {
            self.close_connections_of_the_dead();
        }
        // A client that has yet to receive handles is there: another server would not count them.
        if look == Look::Idle && in_flight::look_at_kept() == 0 {
            for (_, source) in self.all_sources() {
                if let Source::Entrance(entrance) = source
                    && !entrance.close_if_idle(self)
                {
                    return self.count_idle_time();
                }
            }
            crate::log::debug!("nobody is there: the server ends");
            self.stop();
        } else {
            self.count_idle_time();
        }
    }

    /// Closes the connections of clients whose process has ended while a forked child of it keeps the
    /// other end open: they would keep this server running for as long as the child lives.
    fn close_connections_of_the_dead(self: &Arc<Self>) {
        for (_, source) in self.all_sources() {
            if let Source::Connection(connection) = source
                && connection.socket().peer_has_ended()
            {
                connection.close(self);
            }
        }
    }

    /// Takes no more clients and calls, lets what runs come to its end, and ends.
    pub(super) fn drain(self: &Arc<Self>) {
        if self.draining.swap(true, Ordering::SeqCst) {
            return;
        }
        crate::log::debug!("the server was told to end");
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

    /// What runs has had time enough: tells the jobs that wait that the server ends.
    pub(super) fn tell_jobs(self: &Arc<Self>) {
        let is_job = |(_, source)| match source {
            Source::Job(job) => Some(job),
            _ => None,
        };
        let jobs: Vec<_> = self.all_sources().into_iter().filter_map(is_job).collect();
        if jobs.is_empty() {
            return self.finish();
        }
        self.untold.store(jobs.len(), Ordering::SeqCst);
        // A job may take long, or for ever.
        self.timers.set(now() + LAST_WORDS, Timer::Stop);
        for job in jobs {
            self.end_job(job, Outcome::Stopping);
        }
    }

    /// A job was told that the server ends. The last one of them ends the server.
    pub(super) fn job_was_told(self: &Arc<Self>) {
        if self.untold.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.finish();
        }
    }

    /// Closes all connections, and ends when their objects are released. Destructors that take longer
    /// than [`LAST_WORDS`], and methods that still run, are left: the second call ends the server.
    ///
    /// Nothing here runs user code, which may block.
    pub(super) fn finish(self: &Arc<Self>) {
        if self.closed.load(Ordering::SeqCst) {
            return self.stop();
        }
        for task in self.crew.take_tasks() {
            // Destructors of what it has could block.
            std::mem::forget(task.refuse(self));
        }
        for (_, source) in self.all_sources() {
            if let Source::Connection(connection) = source {
                connection.close(self);
            }
        }
        self.closed.store(true, Ordering::SeqCst);
        match self.activity.is_working() {
            true => drop(self.timers.set(now() + LAST_WORDS, Timer::Stop)),
            false => self.stop(),
        }
    }

    /// Whether the process has received `SIGTERM`.
    pub(super) fn is_told_to_end(&self) -> bool {
        self.told_to_end.load(Ordering::Relaxed)
    }

    /// Whether the server should have ended by now. The loops that end it may have no thread, or a full
    /// log may block their threads. The sentinel ends the server then.
    pub(super) fn is_overdue(&self, told_to_end: Instant, now: Instant) -> bool {
        now.saturating_duration_since(told_to_end) > self.settings.drain.saturating_add(OVERDUE)
    }

    /// Ends all threads, each when it has done what it is at.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        surely(|| self.stop.set_unshared());
        self.crew.dismiss();
        self.sentinel.wake_to_end();
    }

    /// Whether its threads end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Limit of what jobs may still do when the server ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The end takes no longer than the drain timeout and this: twice [`LAST_WORDS`], and a second more.
const OVERDUE: Duration = Duration::from_secs(3);
