//! The end of a server that was told to end.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use syshandle_wire::Fault;

use super::activity::{Activity, ActivityKind};
use crate::server::Outcome;

/// Lets running methods and background tasks end, and then drops the objects. Clients can no longer
/// connect, and new calls are refused. Methods, tasks and destructors that block don't block this
/// function.
pub(super) fn end(activity: &Activity, drain: Duration) {
    activity.wait_for_end_of(&[ActivityKind::Call, ActivityKind::Task], drain);
    let tasks: Vec<_> = activity.sessions().iter().flat_map(|session| session.tasks()).collect();
    on_threads(tasks, |task| task.end(Outcome::Stopping));
    activity.wait_for_end_of(&[ActivityKind::Task], LAST_WORDS);
    if let Some(quiet) = activity.quiet_time() {
        thread::sleep(REPLY_TIME.saturating_sub(quiet));
    }
    let sessions = activity.sessions();
    for session in &sessions {
        session.fail(Fault::Draining);
    }
    on_threads(sessions, |session| session.close());
    activity.wait_for_end_of(&[ActivityKind::Object, ActivityKind::Call], LAST_WORDS);
}

/// Runs code of the program for all items, on threads that it may block.
fn on_threads<T: Send + 'static>(items: Vec<T>, run: fn(T)) {
    let threads = items.len().min(THREADS_MAX);
    let items = Arc::new(Mutex::new(items.into_iter()));
    for _ in 0..threads {
        let items = items.clone();
        let next = move || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        let thread = thread::Builder::new().name("syshandle-end".to_owned());
        if let Err(error) = thread.spawn(move || std::iter::from_fn(next).for_each(run)) {
            crate::log::error!(%error, "a thread for the end of the server can't be started");
        }
    }
}

/// Limit of the time that the callbacks of background tasks, and then methods and destructors, have
/// when the drain timeout has passed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Time that COM has to send the reply of a method that has ended. COM does not report when a reply
/// was sent.
const REPLY_TIME: Duration = Duration::from_millis(100);

/// Limit of the threads that run code of the program at the end.
const THREADS_MAX: usize = 64;
