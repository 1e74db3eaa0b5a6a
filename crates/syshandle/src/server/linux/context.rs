//! The context of a call, from which a method learns about its call and requests services of its
//! server.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_os::{Credentials, Waitable};
use syshandle_wire::Fault;

use super::call::CallState;
use super::connection::ServerConnection;
use super::doors::ServedObject;
use super::reactor::Reactor;
use super::task::{Outcome, Task, TimerOutcome, UserWaitable};
use crate::class::Object;
use crate::received_handles::KernelProver;
use crate::server::background_task::BackgroundTask;
use crate::setup::other_process;
use crate::{Error, ErrorKind, Result};

/// The context of a call: the client, the deadline, and further services of the server.
///
/// A method that needs the context declares `context: &Context` as its first parameter. The client
/// does not pass it.
#[derive(Debug)]
pub struct Context {
    pub(super) reactor: Arc<Reactor>,
    pub(super) connection: Arc<ServerConnection>,
    pub(super) call: Arc<CallState>,
}

/// A clone may be used after the call was answered, so the session then lasts beyond its calls.
impl Clone for Context {
    fn clone(&self) -> Self {
        self.connection.session().lasts_from_now_on();
        let Self { reactor, connection, call } = self;
        Self { reactor: reactor.clone(), connection: connection.clone(), call: call.clone() }
    }
}

impl Context {
    /// Returns the credentials of the client, as reported by the kernel.
    pub fn client(&self) -> Credentials {
        self.connection.session().client
    }

    /// Returns the client's process as a pidfd, which never refers to another process.
    ///
    /// # Errors
    /// `ENOPROTOOPT` before Linux 6.5; an error of the system if no descriptor is left.
    pub fn client_process(&self) -> io::Result<OwnedFd> {
        self.connection.client_process()
    }

    /// Returns when the client stops waiting. A method that can't finish by then may return early.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// Returns whether the client no longer waits for the result: it cancelled the call, the
    /// deadline has passed, or the client has disconnected.
    pub fn is_cancelled(&self) -> bool {
        self.call.is_cancelled() || self.connection.session().is_gone()
    }

    /// Returns whether the server is about to end: it received `SIGTERM` or was stopped by
    /// `syshandle stop`.
    ///
    /// The client still waits for the result, so [`is_cancelled`](Self::is_cancelled) stays
    /// `false`. A method that can end within
    /// [`Server::drain_timeout`](crate::Server::drain_timeout) continues. A longer method checks
    /// this between steps and returns an error or a partial result in time. The documentation of
    /// `drain_timeout` lists the steps of the end and their times.
    pub fn is_stopping(&self) -> bool {
        self.reactor.is_draining()
    }

    /// Starts a background task: runs `work` when `object` is signalled, `timeout` has passed, or
    /// the client has died. The outcome says which. No thread is blocked during the wait, and the
    /// server stays alive.
    ///
    /// Running work counts among the running methods of the client
    /// ([`Server::max_concurrent_calls`](crate::Server::max_concurrent_calls)). At the limit, the
    /// work waits.
    ///
    /// An auto-reset event is reset. The task owns the object and closes it before `work` runs. If
    /// the client disconnects in order and its process lives, the task continues.
    ///
    /// The returned handle can [cancel](BackgroundTask::cancel) the task. Dropping the handle does
    /// not.
    ///
    /// A task waits once. Its callback may start the next task on a clone of the context, for
    /// instance to serve a queue whose event is signalled repeatedly:
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
    /// and then cancel the latest task.
    ///
    /// One client may have up to 65,536 tasks. Tasks that wait for an object also count in the
    /// client's part of the server's descriptors. This part is five eighths of the limit for a
    /// process of the server's own user, and a quarter for all processes of another user.
    ///
    /// # Errors
    /// The object can't be watched because of the system's limit (`fs.epoll.max_user_watches`), or
    /// [`ErrorKind::Busy`] if the client has too many tasks. Then `work` is dropped.
    pub fn on_signal(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let object = Some(Arc::new(UserWaitable::new(object)) as _);
        let task = Task::start(&self.reactor, &self.connection, object, timeout, Box::new(work))?;
        Ok(BackgroundTask::new(task))
    }

    /// Starts a background task: runs `work` when `delay` has passed or the client has died. The
    /// outcome says which. The wait blocks no thread and takes no descriptor, and the server stays
    /// alive. The limit of running methods applies as for [`on_signal`](Self::on_signal).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use syshandle::{Context, Result, wait::TimerOutcome};
    /// # fn method(context: &Context) -> Result<()> {
    /// context.on_timer(Duration::from_secs(1), |outcome| match outcome {
    ///     TimerOutcome::Elapsed => println!("a second has passed"),
    ///     _ => println!("the client has died, or the server ends"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if the client already has 65,536 tasks. Then `work` is dropped.
    pub fn on_timer(
        &self,
        delay: Duration,
        work: impl FnOnce(TimerOutcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let work = Box::new(|outcome| work(TimerOutcome::of_wait(outcome)));
        let task = Task::start(&self.reactor, &self.connection, None, delay, work)?;
        Ok(BackgroundTask::new(task))
    }

    /// Returns the settings by which the client's handles are proven.
    pub(crate) fn prover(&self) -> KernelProver<'_> {
        let filesystems = &self.reactor.settings().filesystems;
        KernelProver::new(filesystems, &self.connection.session().quota)
    }

    /// Ends the connection with an error. Every call and wait of the client ends with this text and
    /// the kind [`ErrorKind::Aborted`]. This reports the failure of a background task, whose method
    /// has returned long before.
    pub fn abort(&self, text: impl Into<String>) {
        if !self.reactor.is_own() {
            return;
        }
        self.connection.refuse(&self.reactor, &Fault::Aborted { text: text.into() });
        // The server may have to end now, and this thread may not be one of its own.
        self.reactor.look_around();
    }

    /// Serves an object from this server, counted in the client's quota.
    pub(crate) fn serve_object(&self, object: Object) -> Result<ServedObject> {
        if !self.reactor.is_own() {
            return Err(other_process("context"));
        }
        ServedObject::new(&self.reactor, &self.connection.session().quota, object).map_err(
            |error| {
                let kind = match error.kind() {
                    io::ErrorKind::QuotaExceeded => ErrorKind::Busy,
                    _ => ErrorKind::System,
                };
                Error::detected(kind, "the object can't be served").because(error)
            },
        )
    }
}
