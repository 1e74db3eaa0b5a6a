//! `syshandle list` on Linux: shows the registered classes and the state of their servers.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use syshandle::{Error, ErrorKind, Result};
use syshandle_registry::{RegistrationFile, Registry, RunningServers};
use syshandle_types::Printable;

use crate::output::{errln, outln};

pub(crate) fn run() -> Result<ExitCode> {
    let registry = Registry::from_environment();
    let mut code = ExitCode::SUCCESS;
    let all = registry.list();
    if all.is_empty() {
        outln!("no class is registered");
    }
    for file in all {
        match file.map_err(Error::from) {
            Ok(file) => show(&file, &registry),
            // Registrations that another user may have written, or that this process can't read,
            // are not this user's. They are skipped without a failure.
            Err(error)
                if matches!(error.kind(), ErrorKind::Insecure | ErrorKind::ActivationDenied) =>
            {
                errln!("skipped: {error:#}");
            }
            Err(error) => {
                errln!("{error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn show(file: &RegistrationFile, registry: &Registry) {
    let registration = &file.registration;
    let servers = RunningServers::of(file, registry).map_err(Error::from);
    let state = match servers.map(|servers| servers.ids()) {
        Ok(servers) if !servers.is_empty() => running(servers),
        _ if registration.socket.is_some() => "started by the listener of its socket".to_owned(),
        Ok(_) => "not running".to_owned(),
        Err(error) => format!("unknown: {error}"),
    };
    for class in &registration.classes {
        outln!("{} {{{}}}", Printable(&class.name), class.clsid);
        outln!("    program  {}", Printable(registration.program.display()));
        outln!("    file     {}", Printable(file.path.display()));
        if let Some(socket) = &registration.socket {
            outln!("    socket   {}", Printable(socket.display()));
        }
        match registry.find(class.clsid).map_err(Error::from) {
            Ok(found) if found.path == file.path => outln!("    server   {state}"),
            Ok(found) => outln!("    instead  {}", Printable(found.path.display())),
            Err(error) => outln!("    broken   {error:#}"),
        }
    }
}

/// Returns whether a process runs a file that has since been replaced at the path of its program.
/// Returns `false` if this process is not permitted to query that.
fn is_replaced(pid: u32) -> bool {
    let Ok(running) = std::fs::metadata(format!("/proc/{pid}/exe")) else { return false };
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let name = command.split(|byte| *byte == 0).next().unwrap_or_default();
    let path = Path::new(OsStr::from_bytes(name));
    let identity = |file: &Metadata| (file.dev(), file.ino());
    let is_other = std::fs::metadata(path).is_ok_and(|file| identity(&file) != identity(&running));
    running.nlink() == 0 || path.is_absolute() && is_other
}

/// Describes the running server processes, and whether their program has been replaced.
fn running(servers: Vec<u32>) -> String {
    let process = |pid: u32| match is_replaced(pid) {
        true => format!("process {pid}, whose program was replaced: it ends with the next client"),
        false => format!("process {pid}"),
    };
    let processes: Vec<_> = servers.into_iter().map(process).collect();
    format!("running ({})", processes.join("; "))
}
