//! Context of a call: its client, and services of the server.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_com::Caller;
use syshandle_os::{Credentials, Event, OwnedHandle, Waitable};
use syshandle_wire::Fault;

use super::session::Session;
use super::task::{Outcome, Task, TimerOutcome};
use crate::class::{Implements, Interface, Object};
use crate::limits::CALL_TIMEOUT;
use crate::received_handles::KernelProver;
use crate::server::background_task::BackgroundTask;
use crate::{Result, in_process};

/// Context of a call: the client, the deadline, and services of the server.
///
/// A method gets it by taking `context: &Context` as its first parameter. The client does not pass
/// it.
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

    /// Returns the client's process, as the RPC runtime reports it.
    pub fn client(&self) -> Credentials {
        let own = std::process::id;
        Credentials::of_process(self.caller.process_id.unwrap_or_else(own))
    }

    /// Returns a handle to the client's process. Unlike a process id, the handle keeps referring to
    /// this process. The caller owns the handle.
    ///
    /// # Errors
    /// The errors of `DuplicateHandle`.
    pub fn client_process(&self) -> io::Result<OwnedHandle> {
        Ok(self.session.process()?.into())
    }

    /// Returns the time when a client with the default timeout gives up. COM doesn't report the
    /// client's actual timeout.
    pub fn deadline(&self) -> Instant {
        self.began + CALL_TIMEOUT
    }

    /// Returns whether the client has released the object or has ended. COM doesn't report that a
    /// client cancelled or timed out.
    pub fn is_cancelled(&self) -> bool {
        self.session.is_gone()
    }

    /// Returns whether the server is about to end. Always `false` on Windows, where COM has no call
    /// that ends a server.
    pub fn is_stopping(&self) -> bool {
        false
    }

    /// Runs `work` when `object` is signalled, when `timeout` has passed, or when the client has
    /// died; the outcome tells which. No thread of the server waits, and the server stays alive
    /// until then.
    ///
    /// An auto-reset event is reset. The wait owns the object, and closes it before `work` runs. If
    /// the client releases its reference and continues to run, the wait continues.
    ///
    /// The returned handle can [cancel](BackgroundTask::cancel) the task. Dropping the handle does
    /// not.
    ///
    /// A task waits once. Its callback may start the next one on a clone of the context, for
    /// instance to serve a queue whose event is signalled again and again:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use syshandle::{Context, Result, handle::Event, wait::Outcome};
    /// fn serve_queue(context: &Context, event: Event) -> Result<()> {
    ///     let (next, again) = (context.clone(), event.try_clone()?);
    ///     context.on_signal(event, Duration::MAX, move |outcome| {
    ///         if outcome == Outcome::Fired {
    ///             println!("the queue has work");
    ///             if let Err(error) = serve_queue(&next, again) {
    ///                 next.abort(error.to_string());
    ///             }
    ///         }
    ///     })?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// To stop such a series, set a flag that the callback checks before it starts the next task,
    /// then cancel the latest one.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) if the object can't be watched;
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) if the client already has 65536 pending tasks.
    /// Then `work` is dropped without running.
    pub fn on_signal(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let task = Task::start(&self.session, Box::new(object), timeout, Box::new(work))?;
        Ok(BackgroundTask::new(task))
    }

    /// Runs `work` when `delay` has passed or the client has died; the outcome tells which. No
    /// thread of the server waits, and the server stays alive until then.
    ///
    /// # Errors
    /// No handle left; [`ErrorKind::Busy`](crate::ErrorKind::Busy) if the client already has 65536
    /// pending tasks. Then `work` is dropped without running.
    pub fn on_timer(
        &self,
        delay: Duration,
        work: impl FnOnce(TimerOutcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        // The system's thread pool needs an object to wait for. This event is never signalled.
        let never = Event::new()?;
        self.on_signal(never, delay, |outcome| work(TimerOutcome::of_wait(outcome)))
    }

    /// Returns the verifier of received handles.
    pub(crate) fn prover(&self) -> KernelProver {
        KernelProver
    }

    /// Ends all calls and waits of the client with an error that has this text. Use it for failed
    /// background work whose method has returned already.
    pub fn abort(&self, text: impl Into<String>) {
        self.session.fail(Fault::Aborted { text: text.into() });
    }

    /// Serves an object from this server. A method can return the client as a reference or pass it
    /// on. The object lives until its last reference is released, and keeps the server alive until
    /// then.
    ///
    /// # Errors
    /// The errors of `CreateEvent`.
    pub fn serve<I, T>(&self, implementation: T) -> Result<I::Proxy>
    where
        I: Interface + Implements<T> + ?Sized,
    {
        let object = Object::new().with::<I, T>(&Arc::new(implementation));
        in_process::client_within(&object, self.session.activity())
    }
}
