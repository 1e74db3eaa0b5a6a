//! The sources of a reactor that belong to no client: queued user code, and timers.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use syshandle_os::{Interest, PollEvent, Poller};

use super::Reactor;
use super::event_loop::{EventOutcome, LoopContext, LoopSource, NO_LOOP};
use super::timers::Timer;
use super::worker_pool::WorkItem;
use crate::Result;
use crate::setup::failed;
use crate::sync::{MutexGuard, now};

impl Reactor {
    /// Adds the sources to the first loop.
    pub(super) fn add_own_sources(&self) -> Result<()> {
        let first = self.event_loop(Self::FIRST);
        let no_watch = failed("epoll_ctl", NO_LOOP);
        let wakeup = |poller: &Poller, key| poller.add(&self.work, key, Interest::EachReadable);
        first.add(|_| Arc::new(Wakeup), wakeup).map_err(no_watch)?;
        let alarm = self.timers.alarm();
        let add = |poller: &Poller, key| poller.add(alarm, key, Interest::EachReadable);
        first.add(|_| Arc::new(DueTimers), add).map_err(no_watch)?;
        Ok(())
    }

    /// Has the thread of the first loop run user code, because it may run long and must not delay
    /// the caller.
    pub(crate) fn queue(&self, code: Box<dyn WorkItem>) {
        self.queued().push_back(code);
        self.look_around();
    }

    fn queued(&self) -> MutexGuard<'_, VecDeque<Box<dyn WorkItem>>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the queued user code, on this thread or on workers.
    fn run_queued(self: &Arc<Self>, context: LoopContext<'_>) -> EventOutcome {
        loop {
            let mut queued = self.queued();
            let Some(code) = queued.pop_front() else { return EventOutcome::Otherwise };
            let more = !queued.is_empty();
            drop(queued);
            let Some(running) = context.try_start_unknown(code.quota()) else {
                self.run_beside(code);
                continue;
            };
            if more {
                // If this code runs long, another thread continues.
                self.look_around();
            }
            code.run(context);
            if !running.end() {
                return EventOutcome::Lost;
            }
        }
    }

    fn act_on_timers(self: &Arc<Self>) {
        while let Some(timer) = self.timers.take_due(now()) {
            match timer {
                // A source that was removed in the meantime is no longer found.
                Timer::Source(key, timer) => {
                    if let Some(source) = self.loop_of(key).source(key) {
                        source.on_timer(self, timer);
                    }
                }
                Timer::Idle => self.end_if_idle(),
                Timer::Drain => self.tell_tasks(),
                Timer::Stop => self.finish(),
            }
        }
    }
}

/// The event that wakes the thread of the first loop.
struct Wakeup;

impl LoopSource for Wakeup {
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        let reactor = context.reactor;
        let _ = reactor.work.poll();
        if reactor.is_told_to_end() && !reactor.is_draining() {
            let running = context.start_running();
            reactor.drain();
            if !running.end() {
                // Another thread has the loop, and runs the queued code.
                reactor.look_around();
                return EventOutcome::Lost;
            }
        }
        reactor.run_queued(context)
    }
}

/// The timerfd of [`Timers`].
struct DueTimers;

impl LoopSource for DueTimers {
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        // A timer may run user code, so the watchdog must know that this thread may block.
        let running = context.start_running();
        context.reactor.act_on_timers();
        EventOutcome::after(running)
    }
}
