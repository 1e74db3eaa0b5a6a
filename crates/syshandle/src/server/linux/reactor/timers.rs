//! The timers of a server.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use syshandle_os::Alarm;

/// The timers of a server, which share one timerfd (the alarm).
#[derive(Debug)]
pub(crate) struct Timers {
    alarm: Alarm,
    due: Mutex<TimerTable>,
}

#[derive(Debug, Default)]
struct TimerTable {
    /// Ordered by time, and then by the order in which they were set.
    entries: BTreeMap<TimerId, Timer>,
    last: u64,
    /// The time for which the alarm is set: at or before the time of the first timer. It may be
    /// earlier, because setting the alarm takes a system call and most timers are removed before
    /// they are due.
    rings: Option<Instant>,
}

/// Identifies a timer.
pub(crate) type TimerId = (Instant, u64);

/// The purpose of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A timer of the source with this key.
    Source(u64, SourceTimer),
    /// The idle timeout of the server.
    Idle,
    /// The drain timeout of the server.
    Drain,
    /// The limit for the callbacks of background tasks, and then for destructors, when the server
    /// ends.
    Stop,
}

/// The purpose of a timer of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceTimer {
    /// The timeout of a background task, or the time limit for the hello of a client.
    Timeout,
    /// Frees the shared memory of a connection if it is unused.
    FreeMemory,
    /// Handles a source that couldn't be watched, and watches it again.
    Retry,
}

impl Timers {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { alarm: Alarm::new()?, due: Mutex::default() })
    }

    /// Returns the alarm, which becomes readable when a timer is due.
    pub(crate) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Sets a timer.
    pub(crate) fn set(&self, time: Instant, timer: Timer) -> TimerId {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.last += 1;
        let id = (time, due.last);
        due.entries.insert(id, timer);
        let is_first = due.entries.first_key_value().is_some_and(|(first, _)| *first == id);
        if is_first && due.rings.is_none_or(|rings| time < rings) {
            self.ring_at(&mut due, time);
        }
        id
    }

    /// Removes a timer. The alarm may still fire.
    pub(crate) fn forget(&self, id: TimerId) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).entries.remove(&id);
    }

    /// Takes one timer that is due, or sets the alarm for the next one.
    pub(crate) fn take_due(&self, now: Instant) -> Option<Timer> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((&(time, _), _)) = due.entries.first_key_value() else {
            due.rings = None;
            return None;
        };
        if time > now {
            self.ring_at(&mut due, time);
            return None;
        }
        due.rings = None;
        due.entries.pop_first().map(|(_, timer)| timer)
    }

    /// Returns the number of timers that were set and not taken.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Sets the alarm, because timers may be due that were not taken.
    pub(crate) fn ring_again(&self, now: Instant) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        self.ring_at(&mut due, now);
    }

    fn ring_at(&self, due: &mut TimerTable, time: Instant) {
        // Setting an open timerfd does not fail.
        due.rings = match self.alarm.set(Some(time)) {
            Ok(()) => Some(time),
            Err(error) => {
                crate::log::error!(%error, "the timer of background tasks can't be set");
                None
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn task(key: u64) -> Timer {
        Timer::Source(key, SourceTimer::Timeout)
    }

    #[test]
    fn due_timers_come_in_order_without_cancelled_ones() {
        let timers = Timers::new().unwrap();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        timers.set(at(3), task(3));
        timers.set(at(1), task(1));
        let forgotten = timers.set(at(2), task(2));
        timers.set(at(1), Timer::Idle);
        timers.forget(forgotten);
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.take_due(at(2)), Some(task(1)));
        assert_eq!(timers.take_due(at(2)), Some(Timer::Idle));
        assert_eq!(timers.take_due(at(2)), None);
        assert_eq!(timers.take_due(at(3)), Some(task(3)));
    }

    #[test]
    fn the_alarm_is_set_for_what_comes_before_it_and_after_it_has_rung() {
        let timers = Timers::new().unwrap();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let rings = || timers.due.lock().unwrap().rings;
        let first = timers.set(at(2), task(2));
        timers.forget(first);
        timers.set(at(3), task(3));
        assert_eq!(rings(), Some(at(2)), "it is set already, if too early");
        timers.set(at(1), task(1));
        assert_eq!(rings(), Some(at(1)));
        assert_eq!(timers.take_due(at(1)), Some(task(1)));
        assert_eq!(rings(), None);
        assert_eq!(timers.take_due(at(1)), None);
        assert_eq!(rings(), Some(at(3)));
        assert_eq!(timers.take_due(at(3)), Some(task(3)));
        timers.set(at(5), Timer::Idle);
        assert_eq!(rings(), Some(at(5)));
    }
}
