//! Waits that don't occupy a thread of the program.

use std::io;
use std::time::Duration;

use crate::Waitable;
use crate::sys::watch::PoolWait;

/// The reason why the wait of a [`Watch`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchOutcome {
    /// The object became ready, and was taken.
    Signalled,
    /// The timeout passed first.
    TimedOut,
}

/// A wait for an object that calls a function on a thread of the system's thread pool when it ends.
///
/// Dropping the watch cancels the wait. After the drop, the function has either completed or will
/// never run. If the function itself drops the watch, it continues to run.
#[derive(Debug)]
pub struct Watch {
    /// Fields are dropped in order of declaration, so the wait ends before the object's handle is
    /// closed.
    _wait: PoolWait,
    _object: WatchedObject,
}

struct WatchedObject(
    #[expect(dead_code, reason = "keeps the object open")] Box<dyn Waitable + Send + Sync>,
);

impl Watch {
    /// Waits for `object`, at most for `timeout`, and then calls `work` once.
    ///
    /// # Errors
    /// Returns the errors of `RegisterWaitForSingleObject`. Then `work` is dropped without being
    /// called.
    pub fn start(
        object: Box<dyn Waitable + Send + Sync>,
        timeout: Option<Duration>,
        work: impl FnOnce(WatchOutcome) + Send + 'static,
    ) -> io::Result<Self> {
        let wait = PoolWait::new(object.handle(), timeout, Box::new(work))?;
        Ok(Self { _wait: wait, _object: WatchedObject(object) })
    }
}

impl std::fmt::Debug for WatchedObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedObject").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::Event;

    fn watch(event: &Event, timeout: Duration) -> (Watch, std::sync::mpsc::Receiver<WatchOutcome>) {
        let (sender, receiver) = channel();
        let object = Box::new(event.try_clone().unwrap());
        let watch = Watch::start(object, Some(timeout), move |watched| {
            let _ = sender.send(watched);
        });
        (watch.unwrap(), receiver)
    }

    #[test]
    fn a_signal_or_the_time_ends_it() {
        let event = Event::new().unwrap();
        let (_watch, receiver) = watch(&event, Duration::from_secs(60));
        event.set().unwrap();
        assert_eq!(receiver.recv().unwrap(), WatchOutcome::Signalled);
        let (_watch, receiver) = watch(&event, Duration::from_millis(1));
        assert_eq!(receiver.recv().unwrap(), WatchOutcome::TimedOut);
    }

    #[test]
    fn dropped_it_does_nothing() {
        let event = Event::new().unwrap();
        let (watch, receiver) = watch(&event, Duration::from_secs(60));
        drop(watch);
        event.set().unwrap();
        assert!(receiver.recv().is_err());
        assert!(event.poll().unwrap());
    }
}
