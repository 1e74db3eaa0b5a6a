//! What a loop does with a ready source, and with a timer that is due.

use std::sync::Arc;

use syshandle_os::PollEvent;

use super::event_loop::Source;
use super::reactor::Reactor;
use super::receiving::EventOutcome;
use super::task::Task;
use super::timers::Timer;
use super::watchdog::WorkerSlot;
use super::work_item::UserCode;
use crate::server::Outcome;
use crate::sync::now;

impl Reactor {
    /// Handles a ready source.
    pub(super) fn act(self: &Arc<Self>, ready: PollEvent, slot: &WorkerSlot) -> EventOutcome {
        // A source that was removed in the meantime is no longer found.
        match self.loop_of(ready.key).source(ready.key) {
            None => EventOutcome::Otherwise,
            Some(Source::Connection(connection)) => connection.act(self, ready, slot),
            Some(Source::Task(task)) => task.act(self, slot),
            Some(Source::Door(door)) => door.act(self, slot),
            Some(Source::Wakeup) => {
                let _ = self.work.poll();
                if self.is_told_to_end() && !self.is_draining() {
                    let running = slot.start_running(self);
                    self.drain();
                    if !running.end(self) {
                        // Another thread has the loop, and ends the tasks.
                        self.look_around();
                        return EventOutcome::Lost;
                    }
                }
                self.end_tasks(slot)
            }
            Some(Source::Acceptor(acceptor)) => match acceptor.let_in(self) {
                Some(connection) => connection.begin(self, slot),
                None => EventOutcome::Otherwise,
            },
            Some(source) => {
                // Handling the source may run user code.
                let running = slot.start_running(self);
                self.act_on(source);
                EventOutcome::after(running, self)
            }
        }
    }

    fn act_on(self: &Arc<Self>, source: Source) {
        match source {
            Source::Alarm => self.act_on_timers(),
            Source::Signal => self.drain(),
            Source::Process(session) => session.process_died(self),
            // The loop checks after each source whether the server has ended.
            Source::Stop => {}
            // `act` handles these sources.
            Source::Connection(_)
            | Source::Acceptor(_)
            | Source::Door(_)
            | Source::Task(_)
            | Source::Wakeup => {}
        }
    }

    /// Ends the background tasks that are to end, on this thread or on workers.
    fn end_tasks(self: &Arc<Self>, slot: &WorkerSlot) -> EventOutcome {
        loop {
            let mut ending = self.ending();
            let Some((task, outcome)) = ending.pop_front() else { return EventOutcome::Otherwise };
            let more = !ending.is_empty();
            drop(ending);
            let Some(running) = self.watchdog.try_start_unknown(slot, self, task.quota()) else {
                self.workers.add_work(self, UserCode::EndTask(task, outcome).into());
                continue;
            };
            if more {
                // If this callback runs long, another thread continues.
                self.look_around();
            }
            self.end_task_now(&task, outcome);
            if !running.end(self) {
                return EventOutcome::Lost;
            }
        }
    }

    /// Ends a background task, which runs user code.
    pub(super) fn end_task_now(self: &Arc<Self>, task: &Task, outcome: Outcome) {
        task.end(self, outcome);
        if outcome == Outcome::Stopping {
            self.task_was_told();
        }
    }

    fn act_on_timers(self: &Arc<Self>) {
        while let Some(timer) = self.timers.take_due(now()) {
            match timer {
                Timer::Task(key) => {
                    if let Some(Source::Task(task)) = self.loop_of(key).source(key) {
                        self.end_task(task, Outcome::Expired);
                    }
                }
                Timer::Hello(key) => {
                    if let Some(Source::Connection(connection)) = self.loop_of(key).source(key) {
                        connection.end_unless_open(self);
                    }
                }
                Timer::FreeMemory(key) => {
                    if let Some(Source::Connection(connection)) = self.loop_of(key).source(key) {
                        connection.free_memory(self);
                    }
                }
                Timer::Look(key) => match self.loop_of(key).source(key) {
                    Some(Source::Connection(connection)) => connection.rejoin(self),
                    Some(Source::Task(task)) => {
                        self.workers.add_work(self, UserCode::Task(task).into())
                    }
                    Some(Source::Door(door)) => drop(door.let_in(self)),
                    Some(source) => self.act_on(source),
                    None => {}
                },
                Timer::Idle => self.end_if_idle(),
                Timer::Drain => self.tell_tasks(),
                Timer::Stop => self.finish(),
                Timer::Accept => {
                    for (_, source) in self.all_sources() {
                        if let Source::Acceptor(acceptor) = source {
                            acceptor.rejoin(self);
                        }
                    }
                }
            }
        }
    }
}
