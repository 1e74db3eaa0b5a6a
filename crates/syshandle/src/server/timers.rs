//! What is to happen at which time.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use syshandle_os::Alarm;

/// Points in time, each with what is due then; the next one rings the alarm.
#[derive(Debug)]
pub(crate) struct Timers {
    alarm: Alarm,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    /// By time, and by order among those of one time.
    entries: BTreeMap<TimerId, Timer>,
    last: u64,
    /// When the alarm rings: no later than the first of them is due. It may be earlier, since to set
    /// it takes a system call, and most timers are forgotten before they are due.
    rings: Option<Instant>,
}

/// A timer that was set.
pub(crate) type TimerId = (Instant, u64);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A job has waited long enough.
    Job(u64),
    /// A client has had time enough to say hello.
    Hello(u64),
    /// Shared memory of a connection may be unused.
    FreeMemory(u64),
    /// Nobody may have used the server for long enough.
    Idle,
    /// What still runs has had time enough to end.
    Drain,
    /// Ends the jobs that did not end in time after they were told that the server ends.
    Stop,
    /// There may be descriptors again.
    Accept,
    /// A source couldn't be watched: it is looked at instead, and then watched again.
    Look(u64),
}

impl Timers {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { alarm: Alarm::new()?, due: Mutex::default() })
    }

    /// Becomes readable when something is due.
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

    /// Forgets a timer. The alarm may ring for nothing.
    pub(crate) fn forget(&self, id: TimerId) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).entries.remove(&id);
    }

    /// Takes one timer that is due, and sets the alarm for the next one.
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

    fn ring_at(&self, due: &mut Due, time: Instant) {
        // It fails for no timer that is open.
        due.rings = match self.alarm.set(Some(time)) {
            Ok(()) => Some(time),
            Err(error) => {
                crate::log::error!(%error, "the alarm can't be set");
                None
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_what_is_forgotten_does_not() {
        let timers = Timers::new().unwrap();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        timers.set(at(3), Timer::Job(3));
        timers.set(at(1), Timer::Job(1));
        let forgotten = timers.set(at(2), Timer::Job(2));
        timers.set(at(1), Timer::Idle);
        timers.forget(forgotten);
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.take_due(at(2)), Some(Timer::Job(1)));
        assert_eq!(timers.take_due(at(2)), Some(Timer::Idle));
        assert_eq!(timers.take_due(at(2)), None);
        assert_eq!(timers.take_due(at(3)), Some(Timer::Job(3)));
    }

    #[test]
    fn the_alarm_is_set_for_what_comes_before_it_and_after_it_has_rung() {
        let timers = Timers::new().unwrap();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let rings = || timers.due.lock().unwrap().rings;
        let first = timers.set(at(2), Timer::Job(2));
        timers.forget(first);
        timers.set(at(3), Timer::Job(3));
        assert_eq!(rings(), Some(at(2)), "it is set already, if too early");
        timers.set(at(1), Timer::Job(1));
        assert_eq!(rings(), Some(at(1)));
        assert_eq!(timers.take_due(at(1)), Some(Timer::Job(1)));
        assert_eq!(rings(), None);
        assert_eq!(timers.take_due(at(1)), None);
        assert_eq!(rings(), Some(at(3)));
        assert_eq!(timers.take_due(at(3)), Some(Timer::Job(3)));
        timers.set(at(5), Timer::Idle);
        assert_eq!(rings(), Some(at(5)));
    }
}
