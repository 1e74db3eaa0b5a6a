//! The server for the tests. Environment variables control its behaviour.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "prints its results")]

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use syshandle::{
    Context, Policy, Result, Server,
    handle::{Event, OwnedHandle},
};
use syshandle_testkit::{PeerIds, TEST_SERVICE, TestService, peer_ids};

pub(crate) fn main() -> Result<()> {
    let surroundings = surroundings();
    if let Ok(path) = std::env::var("TESTKIT_STARTS") {
        let mut starts = File::options().append(true).create(true).open(path)?;
        starts.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    }
    if let Ok(text) = std::env::var("TESTKIT_STARTUP_TEXT") {
        eprintln!("{text}");
    }
    match variable("TESTKIT_STARTUP").as_str() {
        "exit" => {
            eprintln!("there is no water\nthe machine can't run");
            std::process::exit(7);
        }
        "hang" => hang_forever(),
        // Hangs if the file does not exist.
        "hang without" if !fs::exists(variable("TESTKIT_GATE"))? => hang_forever(),
        "crash" => std::process::abort(),
        _ => {}
    }
    let idle = variable("TESTKIT_IDLE_MS").parse().unwrap_or(500);
    let make = move || TestServer { surroundings: surroundings.clone() };
    let mut server = Server::new();
    match variable("TESTKIT_USERS").as_str() {
        "" => {}
        "same" => server = server.policy(Policy::same_user()),
        "anyone" => server = server.policy(Policy::anyone()),
        users => {
            let users = users.split(',').filter_map(|user| user.parse().ok());
            server = server.policy(Policy::users(users));
        }
    }
    server
        .class(TEST_SERVICE, make)
        .idle_timeout(Duration::from_millis(idle))
        .drain_timeout(Duration::from_millis(
            variable("TESTKIT_DRAIN_MS").parse().unwrap_or(10_000),
        ))
        .run()
}

/// Returns the value of an environment variable, or an empty string if it is not set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Keeps the socket open without ever sending a greeting.
fn hang_forever() -> ! {
    loop {
        std::thread::park();
    }
}

struct TestServer {
    surroundings: Vec<String>,
}

impl TestService for TestServer {
    fn peer_ids(&self, context: &Context) -> Result<PeerIds> {
        if !variable("TESTKIT_LONG_OUTPUT").is_empty() {
            println!("{}", "a line of a server's log, ".repeat(300));
        }
        Ok(peer_ids(context))
    }

    fn len(&self, file: File) -> Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn write_outcome(&self, context: &Context, mut file: File, event: Event) -> Result<()> {
        context.on_signal(event, Duration::from_secs(600), move |outcome| {
            if let Err(error) = writeln!(file, "{outcome:?}") {
                eprintln!("the outcome can't be written: {error}");
            }
        })?;
        Ok(())
    }

    fn hang(&self) -> Result<()> {
        let mut fifo = File::options().append(true).open(variable("TESTKIT_FIFO"))?;
        fifo.write_all(b"hanging\n")?;
        hang_forever()
    }

    fn abort(&self) -> Result<()> {
        if variable("TESTKIT_FORK") == "yes" {
            syshandle_testkit::leave_child();
        }
        std::process::abort()
    }

    fn startup_state(&self) -> Result<Vec<String>> {
        Ok(self.surroundings.clone())
    }

    fn echo(&self, handle: OwnedHandle, text: String) -> Result<(OwnedHandle, String)> {
        Ok((handle, text))
    }

    fn set(&self, event: Event) -> Result<()> {
        Ok(event.set()?)
    }

    fn wait_for(&self, context: &Context, event: Event) -> Result<()> {
        context.on_signal(event, Duration::from_secs(600), |_| ())?;
        Ok(())
    }

    fn events(&self, count: u32) -> Result<Vec<Event>> {
        (0..count).map(|_| Ok(Event::new()?)).collect()
    }
}

/// Lists the environment, arguments and descriptors of this process.
fn surroundings() -> Vec<String> {
    let mut lines = Vec::new();
    let mut fds: Vec<(u32, String)> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let fd = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            // Excludes the descriptor that reads this directory.
            (!target.starts_with("/proc")).then(|| (fd, target.to_string_lossy().into_owned()))
        })
        .collect();
    fds.sort();
    lines.extend(fds.iter().map(|(fd, target)| format!("fd {fd} {target}")));
    lines.push(format!("cwd {}", std::env::current_dir().unwrap_or_default().display()));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in ["SigBlk", "SigIgn", "SigCgt", "PPid", "Umask"] {
        lines.extend(status.lines().find(|line| line.starts_with(name)).map(str::to_owned));
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields after the name are state, parent, process group, session and terminal.
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    lines.push(format!("group {} session {} terminal {}", fields[2], fields[3], fields[4]));
    lines.extend(std::env::vars_os().map(|(name, value)| {
        format!("env {}={}", name.to_string_lossy(), value.to_string_lossy())
    }));
    lines
}
