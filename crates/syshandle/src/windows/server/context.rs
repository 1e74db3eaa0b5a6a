//! What a method may know of its call, and ask of its server.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_com::Caller;
use syshandle_os::{Credentials, Event, OwnedHandle, Waitable};
use syshandle_wire::Fault;

use super::background_task::BackgroundTask;
use super::jobs::{Job, Outcome, TimerOutcome};
use super::session::Session;
use crate::arrived::Kernel;
use crate::{Client, Implements, Interface, Object, Result, in_process};

/// The context of a call: who calls, until when, and what the server can do besides.
///
/// A method that wants it takes `context: &Context` first; the client doesn't pass it.
#[derive(Clone, Debug)]
pub struct Context {
    session: Arc<Session>,
    caller: Caller,
    began: Instant,
}

impl Context {
    pub(super) fn new(session: &Arc<Session>, caller: Caller) -> Self {
        Self { session: session.clone(), caller, began: Instant::now() }
    }

    /// Who calls, from the RPC runtime.
    pub fn client(&self) -> Credentials {
        let own = std::process::id;
        Credentials::of_process(self.caller.process_id.unwrap_or_else(own))
    }

    /// The process that calls, as a handle that can't come to mean another one.
    ///
    /// # Errors
    /// Those of `DuplicateHandle`.
    pub fn client_process(&self) -> io::Result<OwnedHandle> {
        Ok(self.session.process()?.into())
    }

    /// When the client gives up, unless it has been told otherwise: COM doesn't say when.
    pub fn deadline(&self) -> Instant {
        self.began + Client::TIMEOUT
    }

    /// Whether the client is gone. That it cancelled or gave up COM doesn't say.
    pub fn is_cancelled(&self) -> bool {
        self.session.is_gone()
    }

    /// Returns whether the server is about to end. Always `false` on Windows, where COM has no call
    /// that ends a server.
    pub fn is_stopping(&self) -> bool {
        false
    }

    /// Does `work` when `object` is signalled, or `timeout` has passed, or the client has died;
    /// the outcome says which. No thread of the server's waits meanwhile, and the server stays
    /// alive.
    ///
    /// An event that resets itself is reset. It is owned by the wait, and closed before the work
    /// begins. A client that lets go in order, and lives on, ends nothing.
    ///
    /// The returned handle can [cancel](BackgroundTask::cancel) the task. Dropping the handle does not.
    ///
    /// A task waits once. Its callback may start the next one on a clone of the context, for instance
    /// to serve a queue whose event is signalled again and again:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use syshandle::{Context, Event, Outcome, Result};
    /// fn serve_queue(context: &Context, event: Event) -> Result<()> {
    ///     let (next, again) = (context.clone(), event.try_clone()?);
    ///     context.when(event, Duration::MAX, move |outcome| {
    ///         if outcome == Outcome::Fired {
    ///             println!("the queue has work");
    ///             if let Err(error) = serve_queue(&next, again) {
    ///                 next.fail(error.to_string());
    ///             }
    ///         }
    ///     })?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// To stop such a series, set a flag that the callback checks before it starts the next task, then
    /// cancel the latest one.
    ///
    /// # Errors
    /// The object can't be watched; as many jobs as there may be for one client. Then the work is
    /// dropped.
    pub fn when(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let job = Job::start(&self.session, Box::new(object), timeout, Box::new(work))?;
        Ok(BackgroundTask::new(job))
    }

    /// Does `work` when `delay` has passed, or the client has died; the outcome says which. No
    /// thread of the server's waits meanwhile, and the server stays alive.
    ///
    /// # Errors
    /// No handle left; as many jobs as there may be for one client. Then the work is dropped.
    pub fn after(
        &self,
        delay: Duration,
        work: impl FnOnce(TimerOutcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        // The system's pool waits for objects: this one nobody else has.
        let never = Event::new()?;
        self.when(never, delay, |outcome| work(TimerOutcome::of_wait(outcome)))
    }

    /// What proves handles.
    pub(super) fn kernel(&self) -> Kernel {
        Kernel
    }

    /// Ends the client's waits with an error: all of them, and its calls, end with this text. For
    /// work in the background that failed, whose method has long returned.
    pub fn fail(&self, text: impl Into<String>) {
        self.session.fail(Fault::Aborted { text: text.into() });
    }

    /// Serves an object from this server: what a method returns as a reference, or passes on. It
    /// lives until nobody refers to it any more, and keeps the server alive that long.
    ///
    /// # Errors
    /// Those of `CreateEvent`.
    pub fn serve<I, T>(&self, implementation: T) -> Result<I::Client>
    where
        I: Interface + Implements<T> + ?Sized,
    {
        let object = Object::new().with::<I, T>(&Arc::new(implementation));
        in_process::client_within(&object, self.session.activity())
    }
}
