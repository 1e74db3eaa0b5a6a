//! The context of a call, from which a method learns about its call and requests services of its
//! server.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_os::{Credentials, Process, Waitable};

use super::background_task::BackgroundTask;
use super::outcome::{Outcome, TimerOutcome};
use super::system::context::CallContext;
use crate::{Error, Result};

/// The context of a call: the client, the deadline, and further services of the server.
///
/// A method that needs the context declares `context: &Context` as its first parameter. The client
/// does not pass it. A clone may be used after the call was answered. It does not keep the server
/// alive, in contrast to a background task. It keeps only the server's memory, which includes the
/// objects that the functions of its classes own. So such an object should not keep a clone.
#[derive(Clone, Debug)]
pub struct Context(pub(crate) CallContext, pub(crate) Option<Arc<SimulatedCall>>);

impl Context {
    /// Returns the credentials of the client, as reported by the kernel. On Windows, the RPC
    /// runtime reports them.
    pub fn client(&self) -> Credentials {
        self.simulated_client().unwrap_or_else(|| self.0.client())
    }

    /// Returns the client's process. The kernel names the process by its connection, so it is never
    /// another process, even if the client has ended. The client of a `socket_pair` is the process
    /// that made the pair, which may be this one. The caller owns the handle. On Linux it is a
    /// pidfd.
    ///
    /// # Errors
    /// An error of the system if no handle is left. On Linux, `ENOPROTOOPT` before Linux 6.5.
    pub fn client_process(&self) -> io::Result<Process> {
        match self.simulated_client() {
            Some(client) => client.process(),
            None => self.0.client_process(),
        }
    }

    /// Returns when the client stops waiting. A method that can't finish by then may return early.
    ///
    /// COM does not report the client's timeout. So on Windows this is the time when a client with
    /// the default timeout stops waiting.
    pub fn deadline(&self) -> Instant {
        self.1.as_ref().map_or_else(|| self.0.deadline(), |call| call.deadline)
    }

    /// Returns whether the client no longer waits for the result: it cancelled the call, the
    /// deadline has passed, or the client has disconnected.
    ///
    /// COM reports neither cancellation nor the deadline. So on Windows this only returns whether
    /// the client has released the object or has ended, and whether [`abort`](Self::abort) or the
    /// end of the server has ended its calls.
    pub fn is_cancelled(&self) -> bool {
        let is_cancelled =
            |call: &SimulatedCall| (call.is_cancelled)() || Instant::now() >= call.deadline;
        self.1.as_ref().is_some_and(|call| is_cancelled(call)) || self.0.is_cancelled()
    }

    /// Returns whether the server is about to end:
    /// [`ServerRef::shutdown`](crate::serving::ServerRef::shutdown) was called or, on Linux, the
    /// server received `SIGTERM` or was stopped by `syshandle stop`.
    ///
    /// The client still waits for the result, so [`is_cancelled`](Self::is_cancelled) stays
    /// `false`. A method that can end within
    /// [`Server::drain_timeout`](crate::Server::drain_timeout) continues. A longer method checks
    /// this between steps and returns an error or a partial result in time. The documentation of
    /// `drain_timeout` lists the steps of the end and their times.
    pub fn is_stopping(&self) -> bool {
        self.1.as_ref().is_some_and(|call| call.is_stopping) || self.0.is_stopping()
    }

    /// Drops the handles that the client has [registered](crate::handle::Registered) on its
    /// connection, for example before a file system is unmounted. A handle that a method still has
    /// stays open until the method drops it. The client passes the handles again when it needs them.
    ///
    /// Linux only.
    #[cfg(not(windows))]
    pub fn drop_registered(&self) {
        self.0.take_back_handles();
    }

    /// Returns the client that a test simulates.
    fn simulated_client(&self) -> Option<Credentials> {
        self.1.as_ref()?.client
    }

    /// Starts a background task: runs `work` when `object` is signalled, `timeout` has passed, or
    /// the client has died. The outcome says which. No thread is blocked during the wait, and the
    /// server stays alive.
    ///
    /// On Linux, running work counts among the running methods of the client
    /// (`Server::max_concurrent_calls`). At the limit, the work waits. On Windows, the thread pool
    /// of the system runs the work.
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
    /// The tasks of a client count in its quota, which is five eighths of the server's limits for a
    /// process of the server's own user, and a quarter for all processes of another user. On Linux
    /// a server has up to 131,072 tasks. A task takes memory and the descriptor of its object. The
    /// handles and the memory of the call's arguments count until the call and all tasks that it
    /// started have ended, because `work` may have captured them. On Windows one client may have up
    /// to 65,536 tasks.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) if the object can't be watched, for instance
    /// because of the limit `fs.epoll.max_user_watches` of Linux.
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) if the client's quota is used up. In both cases
    /// `work` is dropped without running. If the method returns the error, its caller gets the same
    /// kind, and [`Error::may_have_run`] is `true` unless the method calls [`Error::refused`].
    pub fn on_signal(
        &self,
        object: impl Waitable + Send + Sync + 'static,
        timeout: Duration,
        work: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let task = self.0.start_task(object, timeout, Box::new(work));
        task.map(BackgroundTask::new).map_err(Error::of_context)
    }

    /// Starts a background task: runs `work` when `delay` has passed or the client has died. The
    /// outcome says which. The wait blocks no thread, and the server stays alive. It takes no descriptor on
    /// Linux, and one handle on Windows. The limit of running methods applies as for
    /// [`on_signal`](Self::on_signal).
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
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) if the client's quota is used up. On
    /// Windows, an error of the system if no handle is left. In both cases `work` is dropped without
    /// running. If the method returns the error, its caller gets the same kind.
    pub fn on_timer(
        &self,
        delay: Duration,
        work: impl FnOnce(TimerOutcome) + Send + 'static,
    ) -> Result<BackgroundTask> {
        let work = Box::new(|outcome| work(TimerOutcome::of_wait(outcome)));
        let task = self.0.start_timer(delay, work);
        task.map(BackgroundTask::new).map_err(Error::of_context)
    }

    /// Ends the connection with an error. Every call and wait of the client ends with this text and
    /// the kind [`ErrorKind::Aborted`](crate::ErrorKind::Aborted). This reports the failure of a
    /// background task, whose method has returned long before. On Linux, the references that methods
    /// have returned over the connection end with it, and so do casts.
    pub fn abort(&self, text: impl Into<String>) {
        self.0.abort(text.into());
    }
}

/// The properties of a call that a test simulates. They replace the properties of the real call.
pub(crate) struct SimulatedCall {
    pub(crate) client: Option<Credentials>,
    pub(crate) deadline: Instant,
    pub(crate) is_cancelled: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) is_stopping: bool,
    /// Keeps the client of the real call connected.
    pub(crate) _keep_alive: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for SimulatedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedCall")
            .field("client", &self.client)
            .field("deadline", &self.deadline)
            .field("is_stopping", &self.is_stopping)
            .finish_non_exhaustive()
    }
}
