//! `syshandle attack`: runs hostile clients against the user's own server.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use syshandle::{Activation, Error, ErrorKind, Guid, Result, handle::UserId, interface};
use syshandle_adversary::{Attack, MethodShape, Scenario, TargetServer};
use syshandle_registry::{Registry, RuntimePaths};
use syshandle_types::Printable;

use super::class::ClassArgument;
use crate::output::{outln, write_content, write_out};

/// Arguments of `syshandle attack`.
#[derive(clap::Args)]
pub(crate) struct AttackArguments {
    /// The class whose server is attacked, by name or identifier
    class: ClassArgument,
    /// Run only these scenarios
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<String>,
    /// The number (from 0) of a method that sets the event passed as its only argument; for the
    /// scenario full-event
    #[arg(long, value_name = "NUMBER")]
    set_method: Option<u32>,
    /// The number (from 0) of a method that waits in a background task for the event passed as its
    /// only argument; for the scenario endless-tasks
    #[arg(long, value_name = "NUMBER")]
    wait_method: Option<u32>,
    /// The number (from 0) of a method that takes a `u32` and returns as many new events; for the
    /// scenario unread-events
    #[arg(long, value_name = "NUMBER")]
    events_method: Option<u32>,
    /// The user ID of the hostile clients, if this command runs as root
    #[arg(long, value_name = "UID", default_value_t = NOBODY)]
    user: u32,
    /// How many times slower an honest call may become: the limit for its median duration during an
    /// attack, as a multiple of the median without one
    #[arg(long, value_name = "TIMES", default_value_t = 100.0)]
    slower: f64,
    /// Run this scenario in the current process; used internally, once for each scenario
    #[arg(long, hide = true, requires = "address")]
    scenario: Option<String>,
    #[arg(long, hide = true)]
    address: Option<PathBuf>,
    #[arg(long, hide = true, value_parser = guid)]
    interface: Option<Guid>,
}

/// The user ID of `nobody`, a user that owns no files.
const NOBODY: u32 = 65534;

fn guid(text: &str) -> std::result::Result<Guid, String> {
    text.parse().map_err(|error: syshandle::object::ParseGuidError| error.to_string())
}

pub(crate) fn run(arguments: &AttackArguments) -> Result<ExitCode> {
    let registry = Registry::from_environment();
    let clsid = arguments.class.find(&registry)?;
    if let (Some(scenario), Some(address)) = (&arguments.scenario, &arguments.address) {
        return run_here(arguments, clsid, scenario, address);
    }
    let only: Vec<_> = arguments.only.iter().map(|name| find(name)).collect::<Result<_>>()?;
    let file = registry.find(clsid)?;
    let registration = &file.registration;
    let class = registration.classes.iter().find(|class| class.clsid == clsid);
    let iid = class.and_then(|class| class.interfaces.first().copied()).unwrap_or(Guid::NIL);
    let address = match &registration.socket {
        Some(socket) => socket.clone(),
        None => RuntimePaths::of(&file, &registry)?.socket,
    };
    start(&registry, clsid)?;
    let clients = HostileClients::new(&address, arguments.user)?;
    let allowed = registration.policy.allows(UserId::from_kernel(arguments.user));
    outln!("{}", clients.describe(allowed));
    let target = arguments.target(address, clsid, iid);
    let wanted = |scenario: &&Scenario| {
        only.is_empty() || only.iter().any(|wanted| wanted.name == scenario.name)
    };
    let mut scenarios = Vec::new();
    for scenario in Scenario::all().iter().filter(wanted) {
        match why_skipped(scenario, &target, clients.as_another_user && !allowed) {
            Some(reason) => outln!("skipped: {}: {reason}", scenario.name),
            None => scenarios.push(scenario),
        }
    }
    let attack = Attack {
        target: target.clone(),
        scenarios,
        command: &|scenario| clients.command(scenario, &target, allowed),
        slower_max: arguments.slower,
    };
    let report = attack
        .run()
        .map_err(|error| Error::failed(format!("the server can't be attacked: {error}")))?;
    write_out(format_args!("\n{report}"));
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl AttackArguments {
    fn target(&self, address: PathBuf, clsid: Guid, iid: Guid) -> TargetServer {
        let Self { wait_method, set_method, events_method, .. } = *self;
        TargetServer { address, clsid, iid, wait_method, set_method, events_method }
    }
}

/// Returns the reason why a scenario can't run on this system, if any.
fn why_skipped(
    scenario: &Scenario,
    target: &TargetServer,
    has_refused_user: bool,
) -> Option<String> {
    if !scenario.accepted && !has_refused_user {
        return Some("this command has no user that the server rejects".to_owned());
    }
    let shape = scenario.method.filter(|shape| target.method(*shape).is_none())?;
    let option = match shape {
        MethodShape::WaitsForEvent => "--wait-method",
        MethodShape::SetsEvent => "--set-method",
        MethodShape::ReturnsEvents => "--events-method",
    };
    Some(format!("{option} is not set (a {shape})"))
}

/// Returns the scenario with this name.
fn find(name: &str) -> Result<&'static Scenario> {
    Scenario::named(name).ok_or_else(|| {
        let names: Vec<_> = Scenario::all().iter().map(|scenario| scenario.name).collect();
        let (name, names) = (Printable(name), names.join(", "));
        Error::failed(format!("unknown scenario {name}: expected one of {names}"))
    })
}

/// Runs one scenario in this process, and prints the attempts that it makes.
fn run_here(
    arguments: &AttackArguments,
    clsid: Guid,
    scenario: &str,
    address: &Path,
) -> Result<ExitCode> {
    let iid = arguments.interface.unwrap_or(Guid::NIL);
    let target = arguments.target(address.to_owned(), clsid, iid);
    let scenario = find(scenario)?;
    let attempts = scenario
        .run(&target)
        .map_err(|error| Error::failed(format!("{} failed to run: {error}", scenario.name)))?;
    for attempt in attempts {
        // The parent process parses this line.
        write_content(&format!("{}\n", attempt.write()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the server of a class if it isn't running.
fn start(registry: &Registry, class: Guid) -> Result<()> {
    match Activation::new().registry(registry.clone()).activate::<AbsentInterfaceClient>(class) {
        // The server has answered, so it is running.
        Err(error) if error.kind() == ErrorKind::NoSuchInterface => Ok(()),
        other => other.map(drop),
    }
}

/// An interface that no class implements.
#[interface(iid = "b1d5a7c2-3c55-4c0c-8a0e-5d6f2e1c9f00")]
trait AbsentInterface {
    fn nothing(&self) -> Result<()>;
}

/// Starts the processes of the hostile clients.
struct HostileClients {
    /// Whether the processes run as a different user.
    as_another_user: bool,
    user: u32,
    /// The server's socket, which other users can connect to until this value is dropped.
    shared_socket: Option<SharedSocket>,
}

impl HostileClients {
    fn new(address: &Path, user: u32) -> Result<Self> {
        let this = fs::metadata("/proc/self").map_err(cannot("can't be examined", "/proc/self"))?;
        let as_another_user = this.uid() == 0;
        let shared_socket = as_another_user.then(|| SharedSocket::new(address)).transpose()?;
        Ok(Self { as_another_user, user, shared_socket })
    }

    fn describe(&self, allowed: bool) -> String {
        let user = self.user;
        match (self.as_another_user, allowed) {
            (false, _) => {
                "The hostile clients run as this user, because only root can run them as \
                           another user. The attack doesn't test the boundary between users."
                    .into()
            }
            (true, true) => {
                format!("The hostile clients run as user {user}, which the server accepts.")
            }
            (true, false) => format!(
                "Hostile clients that the server must accept run as this user; clients that it must \
                 reject run as user {user}."
            ),
        }
    }

    /// Returns the command that runs one scenario in a separate process.
    fn command(
        &self,
        scenario: &Scenario,
        target: &TargetServer,
        allowed: bool,
    ) -> io::Result<Command> {
        // Through this link, another user can execute the program even if the program's folder is
        // not accessible to other users.
        let mut command = Command::new("/proc/self/exe");
        let (clsid, iid) = (target.clsid.to_string(), target.iid.to_string());
        command.args(["attack", &clsid, "--interface", &iid, "--scenario", scenario.name]);
        for (option, method) in [
            ("--set-method", target.set_method),
            ("--wait-method", target.wait_method),
            ("--events-method", target.events_method),
        ] {
            if let Some(method) = method {
                command.args([option, &method.to_string()]);
            }
        }
        command.arg("--address");
        match &self.shared_socket {
            Some(shared_socket) if !scenario.accepted || allowed => {
                command
                    .arg("/proc/self/fd/0")
                    .stdin(Stdio::from(shared_socket.socket.try_clone()?));
                command.uid(self.user).gid(self.user);
            }
            _ => {
                command.arg(&target.address).stdin(Stdio::null());
            }
        }
        Ok(command)
    }
}

/// A descriptor of a socket whose mode permits any user to connect. Because the socket's folder
/// stays inaccessible to other users, only processes that get the descriptor can reach the socket.
struct SharedSocket {
    socket: OwnedFd,
    path: PathBuf,
    mode: u32,
}

impl SharedSocket {
    fn new(path: &Path) -> Result<Self> {
        let metadata = fs::symlink_metadata(path).map_err(cannot("can't be examined", path))?;
        let socket = File::options().read(true).custom_flags(O_PATH).open(path);
        let socket = socket.map_err(cannot("can't be opened", path))?.into();
        let shared_socket =
            Self { socket, path: path.to_owned(), mode: metadata.permissions().mode() & 0o7777 };
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))
            .map_err(cannot("can't be opened to other users", path))?;
        Ok(shared_socket)
    }
}

impl Drop for SharedSocket {
    fn drop(&mut self) {
        // The socket no longer exists if the server has ended.
        let _ = fs::set_permissions(&self.path, fs::Permissions::from_mode(self.mode));
    }
}

/// Returns a closure that creates the error for a failed file operation.
fn cannot(what: &str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::failed(format!("{} {what}: {error}", Printable(path.as_ref().display())))
}

/// The flag that opens a file only as a location, not for reading. From `asm-generic/fcntl.h`.
const O_PATH: i32 = 0o10_000_000;
