//! `syshandle list`.

use std::process::ExitCode;

use syshandle::{ErrorKind, Locations, Meeting, Printable, Registered, Result};

use crate::output::{errln, outln};

pub(crate) fn run() -> Result<ExitCode> {
    let locations = Locations::from_environment();
    let mut code = ExitCode::SUCCESS;
    let all = locations.list();
    if all.is_empty() {
        outln!("no class is registered");
    }
    for registered in all {
        match registered {
            Ok(registered) => show(&registered, &locations),
            // What others may have written, or this process may not read, is none of its classes.
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

fn show(registered: &Registered, locations: &Locations) {
    let registration = &registered.registration;
    let state = match Meeting::of(registered, locations) {
        Ok(meeting) if meeting.is_running() => running(&meeting),
        _ if registration.socket.is_some() => "started by whoever listens at its socket".to_owned(),
        Ok(_) => "not running".to_owned(),
        Err(error) => format!("unknown: {error}"),
    };
    for class in &registration.classes {
        outln!("{} {{{}}}", Printable(&class.name), class.clsid);
        outln!("    program  {}", Printable(registration.program.display()));
        outln!("    file     {}", Printable(registered.file.display()));
        if let Some(socket) = &registration.socket {
            outln!("    socket   {}", Printable(socket.display()));
        }
        match locations.find(class.clsid) {
            Ok(found) if found.file == registered.file => outln!("    server   {state}"),
            Ok(found) => outln!("    instead  {}", Printable(found.file.display())),
            Err(error) => outln!("    broken   {error:#}"),
        }
    }
}

/// The processes that serve, and whether their program was replaced.
fn running(meeting: &Meeting) -> String {
    let process = |pid: u32| {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        match program.to_string_lossy().ends_with(" (deleted)") {
            true => {
                format!("process {pid}, whose program was replaced: it ends with the next client")
            }
            false => format!("process {pid}"),
        }
    };
    let processes: Vec<_> = meeting.servers().into_iter().map(process).collect();
    format!("running ({})", processes.join("; "))
}
