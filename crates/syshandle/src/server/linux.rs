//! The server side: accepts clients, runs their calls and replies.

mod acceptor;
mod activity;
pub(super) mod arguments;
mod call;
mod connection;
mod connection_memory;
pub(super) mod context;
mod dedicated;
mod dispatch;
pub(crate) mod doors;
mod ending;
mod event_loop;
mod inbox;
mod method_times;
mod newest;
mod object;
pub(crate) mod reactor;
mod receiving;
mod replies;
mod reply_batch;
mod session;
pub(super) mod task;
#[cfg(test)]
mod tests;
mod timers;
mod watchdog;
mod work_item;
mod work_queue;
mod worker_pool;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use syshandle_os::{Filesystems, Interest, OwnedHandle, Poller, Seqpacket, UserId};
use syshandle_registry::{Policy, ServerSocket};
use syshandle_types::{Guid, Limits};
use syshandle_wire::{Greeting, Offer};

pub use context::Context;
pub(crate) use doors::InnerDoor;
pub use task::{Outcome, TimerOutcome};

use self::acceptor::Acceptor;
use self::event_loop::Source;
use self::reactor::{Reactor, Settings};
use crate::class::{Class, Object, Serves};
use crate::limits::LIMITS;
use crate::quota::QuotaLimits;
use crate::setup::failed;
use crate::{Error, ErrorKind, Result, direct};

/// Creates the object for a client that activates the class.
pub(crate) type Factory = Box<dyn Fn() -> Object + Send + Sync>;

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
pub struct Server {
    classes: HashMap<Guid, Factory>,
    offers: Vec<Offer>,
    order: Vec<Guid>,
    policy: Option<Policy>,
    settings: Settings,
    way_in: WayIn,
}

/// How clients reach a server.
#[derive(Debug)]
enum WayIn {
    /// Through the registration of the server, or a socket passed by the `LISTEN_FDS` protocol.
    Registered,
    /// Through a path that the program chose.
    Path(PathBuf),
    /// Through a socket that the program passed: a listening socket or a connection.
    Socket(OwnedHandle),
}

impl Server {
    /// Creates a server without classes. It ends when no client has used it for ten seconds.
    pub fn new() -> Self {
        Self {
            classes: HashMap::new(),
            offers: Vec::new(),
            order: Vec::new(),
            policy: None,
            way_in: WayIn::Registered,
            settings: Settings {
                loops: syshandle_os::usable_cores(),
                max_concurrent_calls: CALLS_MAX,
                clients_max: CLIENTS_MAX,
                idle: Some(Duration::from_secs(10)),
                drain: Duration::from_secs(10),
                filesystems: Filesystems::local(),
                quota_limits: QuotaLimits::UNLIMITED,
            },
        }
    }

    /// Adds a class. `make` creates the object for each client that activates the class.
    #[must_use]
    pub fn class<C: Serves<T>, T>(
        mut self,
        class: Class<C>,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        // `syshandle register` searches the program file for this mark.
        std::hint::black_box(C::MARK);
        let clsid = class.clsid();
        self.offers
            .extend(C::INTERFACES.iter().map(|interface| Offer { clsid, iid: interface.iid }));
        self.order.push(clsid);
        self.classes.insert(clsid, Box::new(move || C::object(make())));
        self
    }

    /// Listens at this path, without a registration, for clients that [`connect`](crate::direct::connect)
    /// to it. No file may exist at the path. Only the server's own user may connect, unless
    /// [`Server::policy`] sets another policy.
    ///
    /// The mode of the socket is 0777 without the bits of the umask, and connecting requires the
    /// right to write. Under the usual umask 022 only the server's own user and root can connect.
    /// For other users, set a umask before [`run`](Self::run), or change the mode while the server
    /// runs. These users also need access to the folder. The server also checks [`Server::policy`].
    ///
    /// The server removes the socket when it ends. After `kill -9` or a crash the socket stays.
    /// Then its clients get [`ErrorKind::Disconnected`], and the next server fails with
    /// [`ErrorKind::AlreadyRunning`] until the file is removed. A program that is the only server
    /// at its path removes the file before `run`.
    ///
    /// `syshandle register DIR` registers the classes of every program that calls
    /// [`Server::class`], including programs that serve only by this method or [`Server::socket`].
    /// The registration has no effect unless a client activates the class. To avoid it, name the
    /// programs instead of the folder.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.way_in = WayIn::Path(path.into());
        self
    }

    /// Serves at this socket, without a registration. The socket is an `AF_UNIX` socket of the type
    /// `SOCK_SEQPACKET`: either bound and unconnected, or one end of a connection.
    ///
    /// A connection has one client. The policy is not applied to it, and the server ends with the
    /// connection unless [`Server::never_exit`] is set. The kernel reports the process that created
    /// the connection as the client. For a [`socket_pair`](crate::direct::socket_pair) this is the process
    /// that created the pair.
    #[must_use]
    pub fn socket(mut self, socket: impl Into<OwnedHandle>) -> Self {
        self.way_in = WayIn::Socket(socket.into());
        self
    }

    /// Sets the idle timeout: the server ends when no client has used it for this long, and at the
    /// latest after twice this time.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        // A timeout of zero would end the server before the first client connects.
        self.settings.idle = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Disables the idle timeout, so the server ends only when it is told to.
    #[must_use]
    pub fn never_exit(mut self) -> Self {
        self.settings.idle = None;
        self
    }

    /// Sets which users may connect, overriding the registration.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
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
    /// A method that is usually quick runs on the thread of an event loop. After a method took a
    /// millisecond or longer, its next 64 calls run on a worker thread. A method with the attribute
    /// `#[blocking]` always does. So blocking methods delay no other client while fewer methods run
    /// than the limit.
    #[must_use]
    pub fn max_concurrent_calls(mut self, calls: usize) -> Self {
        self.settings.max_concurrent_calls = calls.max(1);
        self
    }

    /// Limits the number of connections and doors. Clients beyond the limit get an error. The
    /// default is 16,384.
    #[must_use]
    pub fn clients_max(mut self, clients: usize) -> Self {
        self.settings.clients_max = clients;
        self
    }

    /// Sets the file systems whose files the server accepts from clients. The default is the local
    /// file systems of the kernel. A network file system or a file system in user space may never
    /// answer a query, and blocks the thread that queries it.
    #[must_use]
    pub fn filesystems(mut self, filesystems: Filesystems) -> Self {
        self.settings.filesystems = filesystems;
        self
    }

    /// Sets how long the server waits after `SIGTERM` for methods and background tasks to end. The
    /// default is ten seconds.
    ///
    /// `SIGTERM` and `syshandle stop` end a server in these steps. Time counts from the signal.
    ///
    /// | when | what happens |
    /// |---|---|
    /// | at once | No new connections or calls: a call is refused with [`ErrorKind::Disconnected`], and did not run. [`Context::is_stopping`] becomes `true`. Running methods and background tasks continue. A new server may start. |
    /// | all have ended | The server closes its connections, drops its objects and ends. |
    /// | `timeout` | Background tasks that still wait end with [`Outcome::Stopping`] or [`TimerOutcome::Stopping`], and their callbacks have one second. |
    /// | then | All connections close. A call whose method still runs fails at its client with [`ErrorKind::Disconnected`]: "the server was stopped before the call ended", and may have run. [`Context::is_cancelled`] becomes `true`. Methods and destructors have one second to end. |
    /// | `timeout` and at most three seconds | [`run`](Self::run) returns `Ok`, also if methods, tasks or destructors block forever. Threads that they block end with the process. |
    ///
    /// A service manager that kills a server must wait longer than this. The default of systemd's
    /// `TimeoutStopSec=` is 90 s. [`idle_timeout`](Self::idle_timeout) does not interrupt a method
    /// or task that runs.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain = timeout;
        self
    }

    /// Serves clients until the idle timeout or `SIGTERM`. Uses the socket that was passed to this
    /// program (`LISTEN_FDS`), if any. Otherwise creates the socket.
    ///
    /// Raises the soft limit of descriptors of this process to the hard limit. Child processes
    /// inherit the raised limit unless they are started with
    /// [`restore_descriptor_limit`](syshandle_os::restore_descriptor_limit).
    ///
    /// # Errors
    /// [`ErrorKind::NotRegistered`] if the program got no socket and is not registered;
    /// [`ErrorKind::AlreadyRunning`]; errors of the system.
    pub fn run(self) -> Result<()> {
        if self.offers.len() > Limits::OFFERS_MAX {
            let text = format!("a server serves at most {} interfaces", Limits::OFFERS_MAX);
            return Err(Error::detected(ErrorKind::TooLarge, text));
        }
        if self.offers.is_empty() {
            let text = "this server has no class: `Server::class` adds one";
            return Err(Error::detected(ErrorKind::NoSuchClass, text));
        }
        if let WayIn::Socket(socket) = &self.way_in {
            direct::check(socket)?;
        }
        let descriptors = syshandle_os::raise_descriptor_limit();
        // Without this, writing a log file beyond the file size limit would kill the server
        // (`SIGXFSZ`).
        syshandle_os::ignore_file_size_signal();
        let mut settings = self.settings;
        settings.quota_limits = QuotaLimits::of_server(
            settings.clients_max,
            settings.max_concurrent_calls,
            descriptors,
        );
        let greeting = Greeting { limits: LIMITS, offers: self.offers };
        let is_connected = matches!(
            &self.way_in, WayIn::Socket(socket) if Seqpacket::is_connected(socket.as_fd())
        );
        if is_connected {
            settings.idle = settings.idle.map(|_| Duration::ZERO);
        }
        // The reactor comes first, so that a server that can't run takes no socket.
        let reactor = Reactor::new(settings, self.classes)?;
        let socket = match self.way_in {
            WayIn::Registered => ServerSocket::take(&self.order)?,
            WayIn::Path(path) => ServerSocket::at(path)?,
            WayIn::Socket(socket) if is_connected => {
                let socket = direct::adopt(socket)?;
                let signal = SignalWatch::new(&reactor)?;
                acceptor::admit(&reactor, socket, &greeting)
                    .map_err(|error| not_watched("the client's connection", error))?;
                return signal.run(&reactor);
            }
            WayIn::Socket(socket) => ServerSocket::on(socket)?,
        };
        let ServerSocket { listener, location, policy } = socket;
        let policy = self.policy.or(policy).unwrap_or_default();
        if UserId::current().number().is_none() && policy != Policy::anyone() {
            crate::log::warn!(
                user = %UserId::current(),
                "this server can't tell its own user from unknown ones, and lets in neither"
            );
        }
        let signal = SignalWatch::new(&reactor).inspect_err(|_| location.give_up())?;
        let acceptor = Acceptor::open(&reactor, listener, location, &greeting, policy)?;
        reactor.count_idle_time();
        // Accepts a client before the thread of the first event loop starts, so that the client
        // that started this server can already reply to the greeting.
        acceptor.let_in(&reactor);
        // If no thread can start, the socket must not stay, because clients would wait for it.
        signal.run(&reactor).inspect_err(|_| acceptor.close(&reactor))
    }
}

/// Ends the server in order on `SIGTERM`, until this value is dropped.
struct SignalWatch {
    ids: [signal_hook::SigId; 2],
    _reader: UnixStream,
}

impl SignalWatch {
    fn new(reactor: &Reactor) -> Result<Self> {
        const NO_SIGNAL: &str = "SIGTERM can't be watched for";
        let (reader, writer) = UnixStream::pair().map_err(failed("socketpair", NO_SIGNAL))?;
        let add = |poller: &Poller, key| poller.add(&reader, key, Interest::OnceReadable);
        let added = reactor.event_loop(Reactor::FIRST).add(|_| Source::Signal, add);
        added.map_err(failed("epoll_ctl", NO_SIGNAL))?;
        let no_handler = failed("rt_sigaction", NO_SIGNAL);
        let flag = signal_hook::flag::register(SIGTERM, reactor.told_to_end.clone());
        let flag = flag.map_err(no_handler)?;
        let pipe = signal_hook::low_level::pipe::register(SIGTERM, writer);
        let pipe = pipe.inspect_err(|_| {
            signal_hook::low_level::unregister(flag);
        });
        Ok(Self { ids: [flag, pipe.map_err(no_handler)?], _reader: reader })
    }

    /// Serves until the server ends.
    fn run(self, reactor: &Arc<Reactor>) -> Result<()> {
        reactor.run().map_err(|error| {
            Error::detected(ErrorKind::System, format!("the server can't serve: {error}"))
        })
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        for id in self.ids {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// Returns the error for a socket that no event loop can watch.
fn not_watched(what: &str, error: std::io::Error) -> Error {
    Error::detected(ErrorKind::System, format!("{what} can't be served")).because(error)
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("classes", &self.order)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Default limit of running methods. Further blocking methods wait.
const CALLS_MAX: usize = 256;

/// Default limit of connections and doors. Each takes a descriptor and some memory.
const CLIENTS_MAX: usize = 16_384;
