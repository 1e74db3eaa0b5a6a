//! The other processes of the tests. Each is this program with one of these functions as its only
//! test and a role in its environment. In an ordinary test run these functions do nothing.

use std::any::type_name;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use syshandle::{
    Activation, Guid, Server,
    handle::{Event, ManualEvent},
};

use super::bench::{BENCH, BenchClient, DOUBLE, Workbench};
use super::eventually;
use super::hazard::{ARMED, FullDisk, HAZARD, HazardClient, Laboratory, Unread};
use super::streamer::{STREAMER, Streams};
use super::world::World;
use crate::method_errors::{FAILING, FailingObject};

/// The environment variable with the role of this process.
pub(crate) const ROLE: &str = "BEHAVIOUR_ROLE";
/// The server's drain timeout in milliseconds.
pub(crate) const DRAIN_MS: &str = "BEHAVIOUR_DRAIN_MS";
/// The maximum number of clients of the server.
pub(crate) const CLIENTS_MAX: &str = "BEHAVIOUR_CLIENTS_MAX";
/// The maximum number of concurrent methods of the server.
pub(crate) const THREADS_MAX: &str = "BEHAVIOUR_THREADS_MAX";
/// The server's limit of open descriptors.
pub(crate) const DESCRIPTORS_MAX: &str = "BEHAVIOUR_DESCRIPTORS_MAX";
/// If set, the server's log panics; if set to [`UNREAD`], the log blocks.
pub(crate) const LOG: &str = "BEHAVIOUR_LOG";
pub(crate) const UNREAD: &str = "unread";
/// If set, the methods of the server are asynchronous.
#[cfg(feature = "tokio")]
pub(crate) const ASYNC: &str = "BEHAVIOUR_ASYNC";
/// If set, the server runs until it is told to end.
pub(crate) const STAY: &str = "BEHAVIOUR_STAY";

pub(crate) const SERVER: &str = "server";
pub(crate) const CLIENT: &str = "client";
pub(crate) const WORLD: &str = "BEHAVIOUR_WORLD";
const ALONE: &str = "BEHAVIOUR_ALONE";

/// The function that a server runs.
pub(crate) const SERVE: &str = "support::process::serves_where_it_is_started_as_a_server";
const ACT: &str = "support::process::acts_where_it_is_started_as_a_client";
const REGISTER_END: &str = "registered::registers_its_end_where_it_is_started_as_a_client";
const BLOCK: &str = "support::process::blocks_where_it_is_started_as_a_client";

/// Returns the arguments with which this program runs a single test.
pub(crate) fn arguments(test: &str) -> Vec<String> {
    ["--exact", test, "--nocapture", "--test-threads=1"].map(String::from).to_vec()
}

/// The classes that the server serves.
pub(crate) fn classes() -> Vec<Guid> {
    vec![BENCH.clsid(), DOUBLE.clsid(), HAZARD.clsid(), FAILING.clsid(), STREAMER.clsid()]
}

#[test]
fn serves_where_it_is_started_as_a_server() {
    if std::env::var(ROLE).as_deref() != Ok(SERVER) {
        return;
    }
    ARMED.store(true, std::sync::atomic::Ordering::SeqCst);
    match std::env::var(LOG).as_deref() {
        Ok(UNREAD) => tracing::subscriber::set_global_default(Unread).unwrap(),
        Ok(_) => tracing::subscriber::set_global_default(FullDisk).unwrap(),
        Err(_) => {}
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(descriptors) = number(DESCRIPTORS_MAX) {
        let limit = Rlimit { current: Some(descriptors), maximum: Some(descriptors) };
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    #[cfg(feature = "tokio")]
    let is_async = std::env::var_os(ASYNC).is_some();
    #[cfg(not(feature = "tokio"))]
    let is_async = false;
    let mut server = match is_async {
        #[cfg(feature = "tokio")]
        true => Server::new().class(BENCH, super::async_bench::AsyncWorkbench::object),
        _ => Server::new().class(BENCH, Workbench::default),
    };
    server = server
        .class(DOUBLE, Workbench::default)
        .class(HAZARD, Laboratory::new)
        .class(FAILING, || FailingObject)
        .class(STREAMER, Streams::default)
        .idle_timeout(Duration::from_millis(100));
    if let Some(ms) = number(DRAIN_MS) {
        server = server.drain_timeout(Duration::from_millis(ms));
    }
    if let Some(clients) = number(CLIENTS_MAX) {
        server = server.max_clients(clients as usize);
    }
    if let Some(threads) = number(THREADS_MAX) {
        server = server.max_concurrent_calls(threads as usize);
    }
    if std::env::var_os(STAY).is_some() {
        server = server.never_exit();
    }
    server.run().unwrap();
}

/// Runs the rest of a test in a process in which nothing else happens, because the test concerns
/// state of the whole process, such as its descriptors.
pub(crate) fn alone<F: FnOnce()>(test: F) {
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").unwrap();
    if std::env::var(ALONE).as_deref() == Ok(name) {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(arguments(name))
        .env(ALONE, name)
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    print!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(ran, "there is no test {name}");
}

/// A client in a separate process. It makes the server block or starts a background task, and it
/// can be killed.
#[derive(Debug)]
pub(crate) struct OtherClient {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl OtherClient {
    /// Starts a background task that writes its outcome to the report. Sends `Bye` if `bye` is set.
    pub(crate) fn with_job(world: &World, report: &std::path::Path, bye: bool) -> Self {
        let bye = if bye { "1" } else { "0" };
        Self::start(
            world,
            ACT,
            &[("BEHAVIOUR_REPORT", report.to_str().unwrap()), ("BEHAVIOUR_BYE", bye)],
        )
    }

    /// Blocks as many threads of the server as this client may, in user code of the given kind.
    pub(crate) fn that_blocks(world: &World, kind: &str) -> Self {
        Self::start(world, BLOCK, &[("BEHAVIOUR_KIND", kind)])
    }

    /// Connects, and registers its own end of the connection.
    pub(crate) fn that_registers_its_end(world: &World) -> Self {
        Self::start(world, REGISTER_END, &[])
    }

    fn start(world: &World, test: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments(test))
            .env(ROLE, CLIENT)
            .env(WORLD, world.folder())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self { child, stdin, stdout };
        client.expect("ready");
        client
    }

    /// Makes the client set its event.
    pub(crate) fn fire(&mut self) {
        self.stdin.write_all(b"fire\n").unwrap();
    }

    /// Kills the process, without `Bye`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn expect(&mut self, expected: &str) {
        let mut line = String::new();
        while line.trim_end() != expected {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the other client failed");
        }
    }
}

impl Drop for OtherClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn acts_where_it_is_started_as_a_client() {
    if std::env::var(ROLE).as_deref() != Ok(CLIENT) {
        return;
    }
    let folder = PathBuf::from(std::env::var_os(WORLD).unwrap());
    let report = std::env::var_os("BEHAVIOUR_REPORT").unwrap();
    let report = std::fs::File::options().write(true).open(report).unwrap();
    let activation = Activation::new().registry(World::registry_in(&folder));
    let bench: BenchClient = activation.activate(BENCH.clsid()).unwrap();
    let event = Event::new().unwrap();
    bench.job(&event, &super::LONG, &report.into()).unwrap();
    let bench = (std::env::var("BEHAVIOUR_BYE").as_deref() != Ok("1")).then_some(bench);
    println!("\nready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    if line.trim_end() == "fire" {
        event.set().unwrap();
    }
    // The process runs until the test kills it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(bench);
}

/// The kinds of user code that [`OtherClient::that_blocks`] knows.
pub(crate) const BLOCKS: [&str; 5] = ["timer", "event", "destructor", "door", "constructor"];

/// Number of blocking calls, which is more than the server runs at once for one client.
const BLOCKED: usize = 12;

#[test]
fn blocks_where_it_is_started_as_a_client() {
    let Ok(kind) = std::env::var("BEHAVIOUR_KIND") else { return };
    let folder = PathBuf::from(std::env::var_os(WORLD).unwrap());
    let activate = || -> HazardClient {
        let activation = Activation::new().registry(World::registry_in(&folder));
        activation.activate(HAZARD.clsid()).unwrap()
    };
    let hazard = activate();
    let hasty = hazard.with_timeout(Duration::from_millis(500));
    let entered = [(); BLOCKED].map(|()| Event::new().unwrap());
    let [when, until] = [(); 2].map(|()| ManualEvent::new().unwrap());
    let mut clients = Vec::new();
    for entered in &entered {
        match kind.as_str() {
            // When this client has reached its limit, starting another background task fails.
            "timer" => drop(hasty.block_in_job(entered, &until)),
            "event" => hazard.block_when(&when, entered, &until).unwrap(),
            "destructor" => clients.push(activate()),
            "door" => clients.push(hazard.block_in_drop_of(entered, &until).unwrap()),
            _ => hazard.block_in_next_object(entered, &until).unwrap(),
        }
    }
    match kind.as_str() {
        "event" => when.set().unwrap(),
        "destructor" => {
            for (client, entered) in clients.iter().zip(&entered) {
                client.block_in_drop(entered, &until).unwrap();
            }
            clients.clear();
        }
        "door" => clients.clear(),
        "constructor" => clients.extend((0..BLOCKED).map(|_| activate())),
        _ => {}
    }
    let mut running = 0;
    eventually("three of the blocking calls run", || {
        running += entered.iter().filter(|entered| entered.poll().unwrap()).count();
        running >= 3
    });
    println!("\nready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
