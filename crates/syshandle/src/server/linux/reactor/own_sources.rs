//! The sources of a reactor that belong to no client: queued user code, and timers.

use std::sync::{Arc, PoisonError};

use syshandle_os::{Interest, PollEvent, Poller};

use super::event_loop::{EventOutcome, LoopContext, LoopSource, NO_LOOP};
use super::timers::Timer;
use super::work_queue::WorkQueue;
use super::worker_pool::WorkItem;
use super::{Reactor, Threads};
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
        self.queued().push(code);
        self.look_around();
    }

    pub(super) fn queued(&self) -> MutexGuard<'_, WorkQueue<Box<dyn WorkItem>>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one piece of the queued user code, on this thread or on a worker. Other clients get a
    /// turn before the next one.
    pub(super) fn run_queued(self: &Arc<Self>, context: LoopContext<'_>) -> EventOutcome {
        let mut queued = self.queued();
        let Some(code) = queued.take_first() else { return EventOutcome::Otherwise };
        let more = !queued.is_empty();
        drop(queued);
        if more {
            // If this code runs long, another thread continues.
            self.look_around();
        }
        let Some(running) = context.try_start_unknown(code.quota()) else {
            self.run_beside(code);
            return EventOutcome::Otherwise;
        };
        code.run(context);
        EventOutcome::after(running)
    }

    /// Handles timers that are due. Other sources get a turn after [`TIMERS_AT_ONCE`] of them.
    fn act_on_timers(self: &Arc<Self>) {
        for _ in 0..TIMERS_AT_ONCE {
            match self.timers.take_due(now()) {
                // A source that was removed in the meantime is no longer found.
                Some(Timer::Source(key, timer)) => {
                    if let Some(source) = self.loop_of(key).source(key) {
                        source.on_timer(self, timer);
                    }
                }
                Some(Timer::Idle) => self.end_if_idle(),
                Some(Timer::Drain) => self.tell_tasks(),
                Some(Timer::Stop) => self.finish(),
                None => return,
            }
        }
        self.timers.ring_again(now());
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
        let outcome = reactor.run_queued(context);
        if reactor.settings.threads == Threads::Dispatching {
            reactor.workers.run_item(context);
        }
        outcome
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

/// Number of due timers that are handled in one turn.
const TIMERS_AT_ONCE: usize = 16;
