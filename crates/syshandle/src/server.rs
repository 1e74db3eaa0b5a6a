//! The server's side.

mod accept;
mod activity;
mod arguments;
mod background_task;
mod connection;
mod context;
mod crew;
pub(crate) mod doors;
mod ending;
mod event_loop;
mod held;
mod inbox;
mod incoming;
#[cfg(test)]
mod interleavings;
mod jobs;
mod newest;
mod object;
mod policy;
mod program_file;
mod queue;
pub(crate) mod reactor;
mod receiving;
mod replies;
mod sentinel;
mod session;
pub(crate) mod shares;
mod slow;
mod staying;
mod task;
mod timers;
mod work;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use syshandle_os::{Filesystems, Interest, OwnedHandle, Poller, Seqpacket, UserId};
use syshandle_wire::{Greeting, Guid, Limits, Offer};

pub use background_task::BackgroundTask;
pub use context::Context;
pub(crate) use doors::InnerDoor;
pub use incoming::Incoming;
pub use jobs::{Outcome, TimerOutcome};
pub use policy::Policy;

use crate::activation::lifetime::{self, Taken};
use crate::client::LIMITS;
use crate::server::accept::Entrance;
use crate::server::event_loop::Source;
use crate::server::reactor::{Reactor, Settings};
use crate::server::shares::Totals;
use crate::setup::failed;
use crate::{Class, Error, ErrorKind, Object, Result, Serves, direct};

/// Makes the object for a client that has come.
pub(crate) type Factory = Box<dyn Fn() -> Object + Send + Sync>;

/// A server: the classes that a program serves, and how.
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
    /// By its registration, or by a socket of the `LISTEN_FDS` protocol.
    Registered,
    /// By a path that the program chose.
    Path(PathBuf),
    /// By a socket that the program was given: one to listen on, or a connection.
    Socket(OwnedHandle),
}

impl Server {
    /// A server of nothing yet, which ends when nobody has used it for ten seconds.
    pub fn new() -> Self {
        Self {
            classes: HashMap::new(),
            offers: Vec::new(),
            order: Vec::new(),
            policy: None,
            way_in: WayIn::Registered,
            settings: Settings {
                loops: syshandle_os::usable_cores(),
                threads_max: THREADS_MAX,
                clients_max: CLIENTS_MAX,
                idle: Some(Duration::from_secs(10)),
                drain: Duration::from_secs(10),
                filesystems: Filesystems::local(),
                shares: Totals::UNLIMITED,
            },
        }
    }

    /// Serves a class: `make` makes the object for each client that activates it.
    #[must_use]
    pub fn class<C: Serves<T>, T>(
        mut self,
        class: Class<C>,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        // What `syshandle register` looks for in the program file.
        std::hint::black_box(C::MARK);
        let clsid = class.clsid();
        self.offers
            .extend(C::INTERFACES.iter().map(|interface| Offer { clsid, iid: interface.iid }));
        self.order.push(clsid);
        self.classes.insert(clsid, Box::new(move || C::object(make())));
        self
    }

    /// Listens at this path, without a registration: for clients that [`connect`](crate::connect) there.
    /// Nothing may be there yet. The policy is the server's own user's, unless [`Server::policy`] sets
    /// another one.
    ///
    /// The mode of the socket is 0777 without the bits of the umask, and to connect takes the right to
    /// write: under the usual umask 022 only the server's own user and root can connect. For other
    /// users, set a umask before [`run`](Self::run), or change the mode when the server runs; the folder
    /// must let them through as well. The server also checks [`Server::policy`].
    ///
    /// The server removes the socket when it ends. After `kill -9` or a crash the socket stays, its
    /// clients get [`ErrorKind::Disconnected`], and the next server fails with
    /// [`ErrorKind::AlreadyRunning`] until the file is removed. A program that is the only server at
    /// its path removes the file before `run`.
    ///
    /// `syshandle register DIR` registers the classes of every program that calls [`Server::class`],
    /// also of one that serves by this method or [`Server::socket`] only. The registration does no
    /// harm unless a client activates the class; name the programs instead of the folder to avoid it.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.way_in = WayIn::Path(path.into());
        self
    }

    /// Serves at this socket, without a registration: an `AF_UNIX` socket of the type `SOCK_SEQPACKET`
    /// that is bound and unconnected, or one end of a connection.
    ///
    /// At a connection there is one client, which no policy is asked about, and the server ends with
    /// it unless [`Server::stay`] says otherwise. The kernel names the process that made the
    /// connection as the client: for a [`socket_pair`](crate::socket_pair) the process that made the
    /// pair.
    #[must_use]
    pub fn socket(mut self, socket: impl Into<OwnedHandle>) -> Self {
        self.way_in = WayIn::Socket(socket.into());
        self
    }

    /// Ends when nobody has used it for this long (and at most twice as long).
    #[must_use]
    pub fn idle_exit(mut self, after: Duration) -> Self {
        // Zero would mean to end before the first client.
        self.settings.idle = Some(after.max(Duration::from_millis(1)));
        self
    }

    /// Never ends by itself.
    #[must_use]
    pub fn stay(mut self) -> Self {
        self.settings.idle = None;
        self
    }

    /// For these users, whatever its registration says.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Limits how many methods run at once, to 256 unless it is told otherwise.
    ///
    /// Background tasks ([`Context::when`], [`Context::after`]), and the constructors and destructors of
    /// objects, count as methods of the client that causes them.
    ///
    /// One client may have a part of them: a process of the server's own user five eighths (160),
    /// another user, with all its processes, one quarter (64). Parts are rounded up: of
    /// `threads_max(4)` such a process may have 3, and another user 1. Further calls wait for a
    /// method to end, up to four times as many as may run (640, and 64 × 4 = 256 of another user). A call
    /// beyond that fails at once with [`ErrorKind::Busy`], and did not run. A call that waits until
    /// its deadline does not run either.
    ///
    /// A method that is usually quick runs on the thread of an event loop. A method that took a
    /// millisecond or longer runs on a worker thread the next 64 times, and one with the attribute
    /// `#[blocking]` always does. So methods that block delay no other client, as long as fewer run
    /// than may.
    #[must_use]
    pub fn threads_max(mut self, threads: usize) -> Self {
        self.settings.threads_max = threads.max(1);
        self
    }

    /// Serves at most so many connections and doors at once; more are told so. 16,384 unless it is
    /// told otherwise.
    #[must_use]
    pub fn clients_max(mut self, clients: usize) -> Self {
        self.settings.clients_max = clients;
        self
    }

    /// Takes files of these file systems from clients. The kernel's local ones unless it is told
    /// otherwise: those of a network or in user space may never answer, and hold up whoever asks.
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
    /// | at once | No new connections or calls: a call is refused with [`ErrorKind::Disconnected`], and did not run. [`Context::is_stopping`] becomes `true`. Methods that run, and background tasks, go on. A new server may start. |
    /// | all have ended | The server closes its connections, drops its objects and ends. |
    /// | `timeout` | Background tasks that still wait end with [`Outcome::Stopping`] or [`TimerOutcome::Stopping`], and have one second. |
    /// | then | All connections close. A call whose method still runs fails at its client with [`ErrorKind::Disconnected`]: "the server was stopped before the call ended", and may have run. [`Context::is_cancelled`] becomes `true`. Methods and destructors have one second to end. |
    /// | `timeout` and at most three seconds | [`run`](Self::run) returns `Ok`, also if methods, tasks or destructors block forever. Threads that they block end with the process. |
    ///
    /// A service manager that kills a server must wait longer than this: systemd's
    /// `TimeoutStopSec=` is 90 s by default. [`idle_exit`](Self::idle_exit) does not interrupt a
    /// method or task that runs.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain = timeout;
        self
    }

    /// Serves until nobody uses it, or `SIGTERM`. Takes the socket that whoever started this program
    /// passed (`LISTEN_FDS`); started by hand, makes it.
    ///
    /// Raises the limit of descriptors of this process to the most that it may have. Programs that it
    /// starts inherit that, unless they are started with
    /// [`restore_descriptor_limit`](crate::restore_descriptor_limit).
    ///
    /// # Errors
    /// [`ErrorKind::NotRegistered`] when it is started by hand without being registered,
    /// [`ErrorKind::AlreadyRunning`]; the system's.
    pub fn run(self) -> Result<()> {
        if self.offers.len() > Limits::OFFERS_MAX {
            let text = format!("a server serves at most {} interfaces", Limits::OFFERS_MAX);
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        if self.offers.is_empty() {
            let text = "this server has no class: `Server::class` adds one";
            return Err(Error::new(ErrorKind::NoSuchClass, text));
        }
        if let WayIn::Socket(socket) = &self.way_in {
            direct::check(socket)?;
        }
        let descriptors = syshandle_os::raise_descriptor_limit();
        // A log that has reached the limit of file sizes must not end the server.
        syshandle_os::ignore_file_size_signal();
        let mut settings = self.settings;
        settings.shares = totals(settings.clients_max, settings.threads_max, descriptors);
        let greeting = Greeting { limits: LIMITS, offers: self.offers };
        let is_connected = matches!(
            &self.way_in, WayIn::Socket(socket) if Seqpacket::is_connected(socket.as_fd())
        );
        if is_connected {
            settings.idle = settings.idle.map(|_| Duration::ZERO);
        }
        // A server that can't serve takes no socket.
        let reactor = Reactor::new(settings, self.classes)?;
        let taken = match self.way_in {
            WayIn::Registered => lifetime::take(&self.order)?,
            WayIn::Path(path) => Taken::at(path)?,
            WayIn::Socket(socket) if is_connected => {
                let socket = direct::adopt(socket)?;
                let signal = SignalWatch::new(&reactor)?;
                accept::admit(&reactor, socket, &greeting)
                    .map_err(|error| not_watched("the client's connection", error))?;
                return signal.run(&reactor);
            }
            WayIn::Socket(socket) => Taken::on(socket)?,
        };
        let Taken { listener, place, policy } = taken;
        let policy = self.policy.or(policy).unwrap_or_default();
        if UserId::current().number().is_none() && policy != Policy::anyone() {
            crate::log::warn!(
                user = %UserId::current(),
                "this server can't tell its own user from unknown ones, and lets in neither"
            );
        }
        let signal = SignalWatch::new(&reactor).inspect_err(|_| place.give_up())?;
        let entrance = Entrance::open(&reactor, listener, place, &greeting, policy)?;
        reactor.count_idle_time();
        // Before the thread that does it from now on starts: the client that has started this server
        // answers meanwhile.
        entrance.let_in(&reactor);
        // Without threads the socket would stay, and clients would wait at it.
        signal.run(&reactor).inspect_err(|_| entrance.close(&reactor))
    }
}

/// Has `SIGTERM` end the server in order, until this is dropped.
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

    /// Serves until the end.
    fn run(self, reactor: &Arc<Reactor>) -> Result<()> {
        reactor.run().map_err(|error| {
            Error::new(ErrorKind::System, format!("the server can't serve: {error}"))
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

/// The error of a socket that no event loop can watch.
fn not_watched(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("{what} can't be served")).because(error)
}

/// What a server has, of which each client gets a part.
pub(crate) fn totals(clients: usize, calls: usize, descriptors: Option<u64>) -> Totals {
    let memory = syshandle_os::memory_limit().map_or(u64::MAX, |limit| limit / MEMORY_PART);
    Totals {
        clients,
        calls,
        waiting: calls.saturating_mul(WAITING_PER_METHOD),
        descriptors: descriptors.map_or(Totals::UNLIMITED.descriptors, |limit| limit as usize),
        timers: TIMERS_MAX,
        bytes: usize::try_from(memory).unwrap_or(usize::MAX).min(MEMORY_MAX),
    }
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

/// More methods that block at once than this wait for each other.
const THREADS_MAX: usize = 256;

/// Calls that wait for each method that may run: a call waits for no more than about as many methods
/// as this, one after the other.
const WAITING_PER_METHOD: usize = 4;

/// Memory for all clients together: replies that they don't read, shared memory, and arguments of
/// methods that run.
const MEMORY_MAX: usize = 1024 * 1024 * 1024;

/// The same as a part of the memory that the process may use: a quarter.
const MEMORY_PART: u64 = 4;

/// Jobs that wait for their time take no descriptor, but some memory: altogether a hundred megabytes.
const TIMERS_MAX: usize = 256 * 1024;

/// Each takes a descriptor and some memory.
const CLIENTS_MAX: usize = 16_384;
