//! The server side on Linux: a reactor with event loops, and the way in for clients.

mod acceptor;
mod argument_quota;
pub(crate) mod arguments;
#[cfg(feature = "tokio")]
mod async_call;
mod call;
mod classes;
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod doors;
pub(crate) mod event_source;
pub(super) mod holders;
mod object;
pub(crate) mod reactor;
pub(crate) mod served_object;
pub(crate) mod server_control;
mod session;
pub(crate) mod task;
#[cfg(test)]
mod tests;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use syshandle_os::{Filesystems, Interest, OwnedHandle, PollEvent, Poller, Seqpacket, UserId};
use syshandle_registry::{Policy, ServerSocket};
use syshandle_types::Limits;
use syshandle_wire::Greeting;

use self::acceptor::Acceptor;
use self::classes::Classes;
use self::reactor::event_loop::{EventOutcome, LoopContext, LoopSource};
use self::reactor::{CALLS_MAX, CLIENTS_MAX, Reactor, Settings, Threads};
use self::server_control::ServerControl;
use crate::limits::LIMITS;
use crate::quota::{ASYNC_CALLS_MAX, QuotaLimits};
use crate::setup::failed;
use crate::untyped_object::ServedClass;
use crate::{Error, ErrorKind, Result, descriptions, direct};

/// The settings of a server that has not started.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    pub(crate) policy: Option<Policy>,
    pub(crate) max_concurrent_calls: usize,
    pub(crate) max_async_calls: usize,
    pub(crate) max_clients: usize,
    pub(crate) filesystems: Filesystems,
    pub(crate) drain: Duration,
    threads: Threads,
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

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            policy: None,
            max_concurrent_calls: CALLS_MAX,
            max_async_calls: ASYNC_CALLS_MAX,
            max_clients: CLIENTS_MAX,
            filesystems: Filesystems::local(),
            drain: Duration::from_secs(10),
            threads: Threads::Own,
            way_in: WayIn::Registered,
        }
    }
}

impl ServerSettings {
    pub(crate) fn listen_at(&mut self, path: PathBuf) {
        self.way_in = WayIn::Path(path);
    }

    pub(crate) fn use_socket(&mut self, socket: OwnedHandle) {
        self.way_in = WayIn::Socket(socket);
    }
}

/// A server that can be started: clients may connect, and nothing serves them yet.
struct PreparedServer {
    reactor: Arc<Reactor>,
    /// `None` for a server of one connection, and for one without classes.
    acceptor: Option<Arc<Acceptor>>,
    /// `None` for a server that handles no signal.
    signal: Option<SignalWatch>,
}

/// Serves clients until the idle timeout or `SIGTERM`.
pub(crate) fn run(
    classes: Vec<ServedClass>,
    idle: Option<Duration>,
    settings: ServerSettings,
) -> Result<()> {
    let server = PreparedServer::new(classes, idle, settings, true)?;
    server.reactor.run().map_err(no_server).inspect_err(|_| server.give_up())
}

/// Starts to serve clients without a signal handler. Returns the thread that ends with the server.
pub(crate) fn start(
    classes: Vec<ServedClass>,
    idle: Option<Duration>,
    settings: ServerSettings,
) -> Result<(ServerControl, JoinHandle<Result<()>>)> {
    let server = PreparedServer::new(classes, idle, settings, false)?;
    let reactor = server.reactor.clone();
    let started = reactor.start().and_then(|()| {
        let thread = std::thread::Builder::new().name("syshandle-server".to_owned());
        thread.spawn(move || reactor.watch().map_err(no_server))
    });
    let thread = started.map_err(no_server).inspect_err(|_| {
        server.give_up();
        server.reactor.stop();
    })?;
    Ok((ServerControl(server.reactor), thread))
}

fn no_server(error: std::io::Error) -> Error {
    Error::detected(ErrorKind::System, format!("the server can't serve: {error}"))
}

impl PreparedServer {
    fn new(
        classes: Vec<ServedClass>,
        idle: Option<Duration>,
        settings: ServerSettings,
        handles_signal: bool,
    ) -> Result<Self> {
        let order: Vec<_> = classes.iter().map(|class| class.clsid).collect();
        let offers: Vec<_> = classes
            .iter()
            .flat_map(|class| {
                class.interfaces.iter().map(|interface| descriptions::offer(class.clsid, interface))
            })
            .collect();
        if offers.len() > Limits::OFFERS_MAX {
            let text = format!("a server serves at most {} interfaces", Limits::OFFERS_MAX);
            return Err(Error::detected(ErrorKind::TooLarge, text));
        }
        let ServerSettings {
            policy,
            max_concurrent_calls,
            max_async_calls,
            max_clients,
            filesystems,
            drain,
            threads,
            way_in,
        } = settings;
        if let WayIn::Socket(socket) = &way_in {
            direct::check(socket)?;
        }
        let descriptors = syshandle_os::raise_descriptor_limit();
        // Without this, writing a log file beyond the file size limit would kill the server
        // (`SIGXFSZ`).
        syshandle_os::ignore_file_size_signal();
        let greeting = Greeting::new(LIMITS, offers);
        let is_connected =
            matches!(&way_in, WayIn::Socket(socket) if Seqpacket::is_connected(socket.as_fd()));
        let settings = Settings {
            threads,
            loops: match threads {
                Threads::Own => syshandle_os::usable_cores(),
                Threads::Dispatching => 1,
            },
            max_concurrent_calls,
            max_clients,
            idle: idle.map(|idle| if is_connected { Duration::ZERO } else { idle }),
            drain,
            filesystems: Arc::new(filesystems),
            quota_limits: QuotaLimits {
                async_calls: max_async_calls,
                ..QuotaLimits::of_server(max_clients, max_concurrent_calls, descriptors)
            },
        };
        // The reactor comes first, so that a server that can't run takes no socket.
        let classes = Arc::new(Classes::new(classes));
        let reactor = Reactor::new(settings, Some(classes.clone()))?;
        let socket = match way_in {
            WayIn::Registered if order.is_empty() => {
                reactor.count_idle_time();
                return Ok(Self { reactor, acceptor: None, signal: None });
            }
            WayIn::Registered => ServerSocket::take(&order)?,
            WayIn::Path(path) => ServerSocket::at(path)?,
            WayIn::Socket(socket) if is_connected => {
                let socket = direct::adopt(socket)?;
                let signal = handles_signal.then(|| SignalWatch::new(&reactor)).transpose()?;
                acceptor::admit(&reactor, socket, &greeting, classes)
                    .map_err(|error| not_watched("the client's connection", error))?;
                return Ok(Self { reactor, acceptor: None, signal });
            }
            WayIn::Socket(socket) => ServerSocket::on(socket)?,
        };
        let ServerSocket { listener, location, policy: registered } = socket;
        let policy = policy.or(registered).unwrap_or_default();
        if UserId::current().number().is_none() && policy != Policy::anyone() {
            crate::log::warn!(
                uid = %UserId::current(),
                "this server can't distinguish its own user from unknown users, and admits neither"
            );
        }
        let signal = handles_signal.then(|| SignalWatch::new(&reactor)).transpose();
        let signal = signal.inspect_err(|_| location.give_up())?;
        let acceptor =
            Acceptor::open(&reactor, (listener, location), (&greeting, classes), policy)?;
        reactor.count_idle_time();
        // Accepts a client before the thread of the first event loop starts, so that the client
        // that started this server can already reply to the greeting.
        acceptor.let_in(&reactor);
        Ok(Self { reactor, acceptor: Some(acceptor), signal })
    }

    /// Closes the socket, because no thread can start. Otherwise clients would wait for it.
    fn give_up(&self) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.close(&self.reactor);
        }
    }
}

/// `SIGTERM`, as a source of events.
struct Signal;

impl LoopSource for Signal {
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        let running = context.start_running();
        context.reactor.drain();
        EventOutcome::after(running)
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
        let added = reactor.event_loop(Reactor::FIRST).add(|_| Arc::new(Signal), add);
        added.map_err(failed("epoll_ctl", NO_SIGNAL))?;
        let no_handler = failed("rt_sigaction", NO_SIGNAL);
        let flag = signal_hook::flag::register(SIGTERM, reactor.signal_flag());
        let flag = flag.map_err(no_handler)?;
        let pipe = signal_hook::low_level::pipe::register(SIGTERM, writer);
        let pipe = pipe.inspect_err(|_| {
            signal_hook::low_level::unregister(flag);
        });
        Ok(Self { ids: [flag, pipe.map_err(no_handler)?], _reader: reader })
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
