//! The server side: accepts clients, runs their calls and replies.

mod background_task;
pub(crate) mod context;
mod incoming_call;
mod outcome;
mod running_server;
pub(crate) mod stats;

use std::time::Duration;

pub use background_task::BackgroundTask;
pub use context::Context;
pub use incoming_call::IncomingCall;
pub use outcome::{Outcome, TimerOutcome};
pub use running_server::{RunningServer, ServerRef};
pub use stats::{CallStats, QuotaOwner, QuotaStats, RefusalStats, ServerStats, Usage};

use crate::class::{Class, Serves};
use crate::untyped_object::{Factory, ServedClass};
use crate::{Error, ErrorKind, Result};

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        pub(crate) mod windows;

        use windows as system;
    } else {
        pub(crate) mod linux;

        use std::path::PathBuf;

        use linux as system;
        pub use linux::event_source::ServerEventSource;
        use syshandle_os::{Filesystems, OwnedHandle};
        use syshandle_registry::Policy;
    }
}

/// A server: the classes that a program serves, and the settings for serving them.
///
/// ```no_run
/// # use syshandle::{class, interface, Result, Server};
/// # #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
/// # trait Greeter { fn greet(&self) -> Result<String>; }
/// # class! { GREETER: Greeter = "ea27c73a-48c2-4714-9d20-a9d2c4f6aed3"; }
/// #[derive(Default)]
/// struct Hello;
///
/// impl Greeter for Hello {
///     fn greet(&self) -> Result<String> {
///         Ok("hello".into())
///     }
/// }
///
/// fn main() -> Result<()> {
///     Server::new().class(GREETER, Hello::default).run()
/// }
/// ```
///
/// On Windows, COM finds the server by its registration (`syshandle register`), starts it with a
/// client's first call, and decides which users may use it. Some settings exist on Linux only,
/// because COM has its own: for example the users and the limits.
pub struct Server {
    classes: Vec<ServedClass>,
    /// The idle timeout; `None` disables it.
    idle: Option<Duration>,
    settings: system::ServerSettings,
}

impl Server {
    /// Creates a server without classes. It ends when no client has used it for ten seconds.
    pub fn new() -> Self {
        let (classes, settings) = (Vec::new(), system::ServerSettings::default());
        Self { classes, idle: Some(Duration::from_secs(10)), settings }
    }

    /// Adds a class. `make` creates the object for each client that activates the class. An object
    /// with `async fn` methods is a `tokio::AsyncObject` (feature `tokio`).
    #[must_use]
    pub fn class<C: Serves<T>, T>(
        mut self,
        class: Class<C>,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        // `syshandle register` searches the program file for this mark.
        std::hint::black_box(C::MARK);
        let make: Factory = Box::new(move || C::object(make()));
        self.classes.push(ServedClass { clsid: class.clsid(), interfaces: C::INTERFACES, make });
        self
    }

    /// Sets the idle timeout. When no client has used the server for this time, it ends. The end
    /// may be delayed, but comes at the latest after twice this time.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        // A timeout of zero would end the server before the first client connects.
        self.idle = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Disables the idle timeout, so the server runs until it is ended explicitly.
    #[must_use]
    pub fn never_exit(mut self) -> Self {
        self.idle = None;
        self
    }

    /// Sets how long the server waits for methods and background tasks to end when it is told to
    /// end. The default is ten seconds.
    ///
    /// [`ServerRef::shutdown`] and, on Linux, `SIGTERM` and `syshandle stop` end a server in these
    /// steps. Time counts from the signal or the call.
    ///
    /// | when | what happens |
    /// |---|---|
    /// | at once | No new connections or calls: a call is refused with [`ErrorKind::Disconnected`], and did not run. [`Context::is_stopping`] becomes `true`. Running methods and background tasks continue. A new server may start. |
    /// | all have ended | The server closes its connections, drops its objects and ends. |
    /// | `timeout` | Background tasks that still wait end with [`Outcome::Stopping`] or [`TimerOutcome::Stopping`], and their callbacks have one second. |
    /// | then | All connections close. A call whose method still runs fails at its client with [`ErrorKind::Disconnected`]: "the server was stopped", and may have run. [`Context::is_cancelled`] becomes `true`. Methods and destructors have one second to end. |
    /// | `timeout` and at most three seconds | [`run`](Self::run) returns `Ok`, also if methods, tasks or destructors block forever. Threads that they block end with the process. |
    ///
    /// A service manager must wait longer than this before it kills a server. The default of
    /// systemd's `TimeoutStopSec=` is 90 s. [`idle_timeout`](Self::idle_timeout) does not interrupt
    /// a method or task that runs.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain = timeout;
        self
    }

    /// Serves clients on this thread and others until the server ends by its idle timeout.
    ///
    /// On Linux, `SIGTERM` ends the server too (see [`drain_timeout`](Self::drain_timeout)). For this
    /// purpose, the function installs a handler of `SIGTERM`, which also calls the handler that was installed
    /// before it. The handler stays installed after the end of the server, and then only calls the
    /// earlier handler. A program with its own handler must install it before this call, or use
    /// [`start`](Self::start) instead.
    ///
    /// If a socket was passed to this program (`LISTEN_FDS`), the server uses it. Otherwise it
    /// creates the socket. It also raises the soft limit of descriptors of this process to the hard
    /// limit. Child processes inherit the raised limit unless they are started with
    /// `restore_descriptor_limit`.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchClass`] if the server has no class; errors of the system. On Linux,
    /// [`ErrorKind::NotRegistered`] if the program got no socket and is not registered, and
    /// [`ErrorKind::AlreadyRunning`]. On Windows, an interface that COM can't represent, and the
    /// errors of COM.
    pub fn run(self) -> Result<()> {
        let Self { classes, idle, settings } = self.with_classes()?;
        system::run(classes, idle, settings)
    }

    /// Starts to serve clients on separate threads, and returns at once. Clients can connect when
    /// this function returns.
    ///
    /// In contrast to [`run`](Self::run), this function installs no signal handler. A process may
    /// run several servers with different classes and sockets. On Linux only one of them can use a
    /// socket that was passed to this program (`LISTEN_FDS`).
    ///
    /// # Errors
    /// The errors of [`run`](Self::run); an error of the system if no thread is left.
    pub fn start(self) -> Result<RunningServer> {
        let Self { classes, idle, settings } = self.with_classes()?;
        let (control, thread) = system::start(classes, idle, settings)?;
        Ok(RunningServer::new(control, thread))
    }

    /// Returns the server, or an error if it has no class.
    fn with_classes(self) -> Result<Self> {
        if self.classes.is_empty() {
            let text = "this server has no class: `Server::class` adds one";
            return Err(Error::detected(ErrorKind::NoSuchClass, text));
        }
        Ok(self)
    }
}

/// Settings that exist on Linux only. On Windows, COM has its own settings.
#[cfg(not(windows))]
impl Server {
    /// Listens at this path, without a registration, for clients that
    /// [`connect`](crate::direct::connect) to it. No file may exist at the path. Only the server's
    /// own user may connect, unless [`Server::policy`] sets another policy.
    ///
    /// The mode of the socket is 0777 without the bits of the umask, and connecting requires the
    /// right to write. Under the usual umask 022 only the server's own user and root can connect.
    /// For other users, set a umask before [`run`](Self::run), or change the mode while the server
    /// runs. These users also need access to the folder. The server also checks [`Server::policy`].
    ///
    /// The server removes the socket when it ends. After `kill -9` or a crash the socket remains.
    /// Then clients get [`ErrorKind::Disconnected`], and the next server fails with
    /// [`ErrorKind::AlreadyRunning`] until the file is removed. A program that knows that no other
    /// server uses its path can remove the file before `run`.
    ///
    /// `syshandle register DIR` registers the classes of every program that calls
    /// [`Server::class`], including programs that serve only by this method or [`Server::socket`].
    /// The registration has no effect unless a client activates the class. To avoid it, name the
    /// programs instead of the folder.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.listen_at(path.into());
        self
    }

    /// Serves at this socket, without a registration. The socket is an `AF_UNIX` socket of the type
    /// `SOCK_SEQPACKET`: either bound and unconnected, or one end of a connection.
    ///
    /// If the socket is one end of a connection, it has a single client. The policy is not applied
    /// to this client, and the server ends when the connection ends, unless [`Server::never_exit`]
    /// is set. The kernel reports the process that created the connection as the client. For a
    /// [`socket_pair`](crate::direct::socket_pair) this is the process that created the pair.
    #[must_use]
    pub fn socket(mut self, socket: impl Into<OwnedHandle>) -> Self {
        self.settings.use_socket(socket.into());
        self
    }

    /// Starts to serve clients in an event loop of the program (`epoll`, calloop, GLib): the event
    /// loop waits for one descriptor, and the server creates no thread. Clients can connect when
    /// this function returns.
    ///
    /// As [`start`](Self::start), this function installs no signal handler:
    /// [`ServerEventSource::end_on_sigterm`] does. A server without classes is possible here. It
    /// serves the objects of [`ServerEventSource::serve`], for instance callbacks.
    ///
    /// # Errors
    /// The errors of [`run`](Self::run).
    pub fn event_source(self) -> Result<ServerEventSource> {
        let Self { classes, idle, settings } = self;
        ServerEventSource::new(classes, idle, settings)
    }

    /// Sets which users may connect. This overrides the registration.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = Some(policy);
        self
    }

    /// Limits how many methods run at once. The default is 256.
    ///
    /// Background tasks ([`Context::on_signal`], [`Context::on_timer`]) and the constructors and
    /// destructors of objects count as methods of the client that causes them.
    ///
    /// Each client may use a part of this limit. A process of the server's own user may use five
    /// eighths (160). Another user, with all its processes, may use a quarter (64). Parts are
    /// rounded up: with `max_concurrent_calls(4)` a process of the server's own user may run 3
    /// methods, and another user 1. Further calls wait for a method to end, up to four times the
    /// number that may run (640, and 64 × 4 = 256 for another user). A call beyond that fails at
    /// once with [`ErrorKind::Busy`] and did not run. A call that waits until its deadline does not
    /// run either.
    ///
    /// A method that is usually quick runs on the thread of an event loop. If a method took a
    /// millisecond or longer, its next 64 calls run on worker threads. A method with the attribute
    /// `#[blocking]` always runs on a worker thread. Below the limit, blocking methods therefore
    /// delay no other client.
    #[must_use]
    pub fn max_concurrent_calls(mut self, calls: usize) -> Self {
        self.settings.max_concurrent_calls = calls.max(1);
        self
    }

    /// Limits how many asynchronous methods run or wait at once: the methods of an
    /// `AsyncObject` (feature `tokio`). The default is 16,384.
    ///
    /// Such a method takes memory but no thread, so it does not count in
    /// [`max_concurrent_calls`](Self::max_concurrent_calls). Each client may use a part of the limit:
    /// a process of the server's own user five eighths (10,240), and another user a quarter (4,096).
    /// A call beyond that fails at once with [`ErrorKind::Busy`] and did not run. One connection has
    /// at most 64 calls in flight.
    #[must_use]
    pub fn max_async_calls(mut self, calls: usize) -> Self {
        self.settings.max_async_calls = calls.max(1);
        self
    }

    /// Limits the number of connections and doors. At the limit, further clients get an error. The
    /// default is 16,384.
    #[must_use]
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.settings.max_clients = clients;
        self
    }

    /// Sets the file systems whose files the server accepts from clients. The default is the local
    /// file systems of the kernel. A network file system or a file system in user space may never
    /// answer a query, and then blocks the thread that makes the query.
    #[must_use]
    pub fn filesystems(mut self, filesystems: Filesystems) -> Self {
        self.settings.filesystems = filesystems;
        self
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let classes: Vec<_> = self.classes.iter().map(|class| class.clsid).collect();
        f.debug_struct("Server")
            .field("classes", &classes)
            .field("idle", &self.idle)
            .field("settings", &self.settings)
            .finish()
    }
}
