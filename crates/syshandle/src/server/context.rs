//! What a method may know of its call, and ask of its server.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_os::{Credentials, Waitable};
use syshandle_wire::Fault;

use super::background_task::BackgroundTask;
use super::connection::Connection;
use super::doors::ServedObject;
use super::jobs::{Job, Outcome, TimerOutcome, UserObject};
use super::reactor::Reactor;
use super::work::CallState;
use crate::arrived::Kernel;
use crate::client::other_process;
use crate::{Client, Error, ErrorKind, Implements, Interface, Object, Proxy, Result};

/// The context of a call: who calls, until when, and what the server can do besides.
///
/// A method that wants it takes `context: &Context` first; the client doesn't pass it.
#[derive(Debug)]
pub struct Context {
    pub(super) reactor: Arc<Reactor>,
    pub(super) connection: Arc<Connection>,
    pub(super) call: Arc<CallState>,
}

/// What is kept may be used when the call has been answered.
impl Clone for Context {
    fn clone(&self) -> Self {
        self.connection.session().lasts_from_now_on();
        let Self { reactor, connection, call } = self;
        Self { reactor: reactor.clone(), connection: connection.clone(), call: call.clone() }
    }
}

impl Context {
    /// Who calls, from the kernel.
    pub fn client(&self) -> Credentials {
        self.connection.session().client
    }

    /// The process that calls, as a handle (a pidfd) that can't come to mean another one.
    ///
    /// # Errors
    /// `ENOPROTOOPT` before Linux 6.5; no descriptor left.
    pub fn client_process(&self) -> io::Result<OwnedFd> {
        self.connection.client_process()
    }

    /// When the client gives up. A method that can't be done by then needn't be.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// Whether nobody waits for the result any more: the client cancelled, gave up, or is gone.
    pub fn is_cancelled(&self) -> bool {
        self.call.is_cancelled() || self.connection.session().is_gone()
    }

    /// Returns whether the server is about to end: it received `SIGTERM` or was stopped by
    /// `syshandle stop`.
    ///
    /// The client still waits for the result, so [`is_cancelled`](Self::is_cancelled) stays `false`.
    /// A method that can end within [`Server::drain_timeout`](crate::Server::drain_timeout) goes on.
    /// A method that takes longer checks this between steps, and returns an error or a partial
    /// result in time. The steps of the end and their times are listed there.
    pub fn is_stopping(&self) -> bool {
        self.reactor.is_draining()
    }

    /// Does `work` when `object` is signalled, or `timeout` has passed, or the client has died;
    /// the outcome says which. No thread waits meanwhile, and the server stays alive.
    ///
    /// Work that runs counts among the running methods of the client
    /// ([`Server::threads_max`](crate::Server::threads_max)). If as many run as may, the work waits.
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
    /// One client may have 65,536 tasks. Tasks that wait for an object also count in its part of the
    /// server's descriptors: five eighths of the limit for a process of the server's own user, a
    /// quarter for all processes of another user.
    ///
    /// # Errors
    /// The object can't be watched: the system's limit (`fs.epoll.max_user_watches`), or
    /// [`ErrorKind::Busy`] past the limit of tasks of one client. Then the work is dropped.
    pub fn when(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let object = Some(Arc::new(UserObject::new(object)) as _);
        let job = Job::start(&self.reactor, &self.connection, object, timeout, Box::new(work))?;
        Ok(BackgroundTask::new(job))
    }

    /// Does `work` when `delay` has passed, or the client has died; the outcome says which. No
    /// thread and no descriptor waits meanwhile, and the server stays alive. The limit of running
    /// methods is the one of [`when`](Self::when).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use syshandle::{Context, Result, TimerOutcome};
    /// # fn method(context: &Context) -> Result<()> {
    /// context.after(Duration::from_secs(1), |outcome| match outcome {
    ///     TimerOutcome::Elapsed => println!("a second has passed"),
    ///     _ => println!("the client has died, or the server ends"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if as many tasks wait as may for one client: 65,536. Then the work is dropped.
    pub fn after(
        &self,
        delay: Duration,
        work: impl FnOnce(TimerOutcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let work = Box::new(|outcome| work(TimerOutcome::of_wait(outcome)));
        let job = Job::start(&self.reactor, &self.connection, None, delay, work)?;
        Ok(BackgroundTask::new(job))
    }

    /// How the client's handles are proven.
    pub(super) fn kernel(&self) -> Kernel<'_> {
        let filesystems = &self.reactor.settings().filesystems;
        Kernel::new(filesystems, &self.connection.session().share)
    }

    /// Ends the connection with an error: every call and wait of the client's ends with this text,
    /// and the kind [`ErrorKind::Aborted`].
    /// For work in the background that failed, whose method has long returned.
    pub fn fail(&self, text: impl Into<String>) {
        if !self.reactor.is_own() {
            return;
        }
        self.connection.refuse(&self.reactor, &Fault::Aborted { text: text.into() });
        // The server may end now, and this thread need not be one of its own.
        self.reactor.look_around();
    }

    /// Serves an object from this server, and returns a reference to it: to be returned to the
    /// client, or passed to others. The object is released when the last reference is.
    ///
    /// # Errors
    /// No descriptor left, or as many references as there may be.
    pub fn serve<I, T>(&self, implementation: T) -> Result<I::Client>
    where
        I: Interface + Implements<T> + ?Sized,
    {
        if !self.reactor.is_own() {
            return Err(other_process("context"));
        }
        let object = Object::new().with::<I, T>(&Arc::new(implementation));
        let served = ServedObject::new(&self.reactor, &self.connection.session().share, object)
            .map_err(|error| {
                let kind = match error.kind() {
                    io::ErrorKind::QuotaExceeded => ErrorKind::Busy,
                    _ => ErrorKind::System,
                };
                Error::new(kind, "the object can't be served").because(error)
            })?;
        Ok(I::Client::from_client(Client::served(Box::new(served), I::DESCRIPTION)))
    }
}
