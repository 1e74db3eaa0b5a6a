//! `syshandle stop`: ends the running servers of a class.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use syshandle::{Error, Result, handle::Process};
use syshandle_registry::{Registry, RunningServers};

use super::class::ClassArgument;
use super::systemd;
use crate::output::outln;

/// Arguments of `syshandle stop`.
#[derive(clap::Args)]
pub(crate) struct StopArguments {
    /// The class, by its name or identifier
    class: ClassArgument,
    /// The time to wait for running calls to end
    #[arg(long, default_value_t = 20_000, value_name = "MILLISECONDS")]
    timeout_ms: u64,
}

pub(crate) fn run(arguments: &StopArguments) -> Result<ExitCode> {
    let registry = Registry::from_environment();
    let file = registry.find(arguments.class.find(&registry)?)?;
    let running = RunningServers::of(&file, &registry)?;
    let servers = running.ids();
    if servers.is_empty() {
        match &file.registration.socket {
            None => outln!("no server runs"),
            Some(_) => outln!(
                "no server is known to run; the service manager knows its own (for systemd, `{}`)",
                systemd::command(&file.registration, "systemctl", "status", "service")
            ),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut ending = Vec::new();
    for pid in servers {
        if pid == 0 {
            let text = "the server runs outside of this pid namespace: stop it there";
            return Err(Error::failed(text));
        }
        let Ok(process) = Process::open(pid) else { continue };
        // Checks again, because the process ID may have been reused before the process was opened.
        if running.ids().contains(&pid) {
            process.signal(SIGTERM).map_err(|error| {
                Error::failed(format!("process {pid} can't be stopped: {error}"))
            })?;
            ending.push((pid, process));
        }
    }
    let now = Instant::now();
    let deadline = now.checked_add(Duration::from_millis(arguments.timeout_ms)).unwrap_or(now);
    for (pid, process) in ending {
        if !process.wait_timeout(deadline.saturating_duration_since(Instant::now()))? {
            let time = arguments.timeout_ms;
            return Err(Error::failed(format!("process {pid} did not end within {time} ms")));
        }
        outln!("process {pid} has ended");
    }
    Ok(ExitCode::SUCCESS)
}

/// The signal that asks a process to end. From signal(7).
const SIGTERM: i32 = 15;
