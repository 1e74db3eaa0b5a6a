//! `syshandle log`.

use std::fs;
use std::io;
use std::process::ExitCode;

use syshandle::{Error, Locations, Meeting, Printable, Result};

use crate::class::ClassArgument;
use crate::output::{errln, write_out};

/// Arguments of `syshandle log`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The class, by its name or identifier
    class: ClassArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let locations = Locations::from_environment();
    let registered = locations.find(arguments.class.find(&locations)?)?;
    let registration = &registered.registration;
    if let Some(socket) = &registration.socket {
        errln!(
            "the program that listens at {} starts this server and has its output: for systemd, \
             `journalctl --user --unit {}`",
            Printable(socket.display()),
            Printable(&registration.name)
        );
        return Ok(ExitCode::FAILURE);
    }
    let meeting = Meeting::of(&registered, &locations)?;
    match fs::read(&meeting.log) {
        Ok(text) => write_out(format_args!("{}", String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            errln!("no client has started this server: {} isn't there", meeting.log.display());
        }
        Err(error) => {
            let text = format!("{} can't be read: {error}", meeting.log.display());
            return Err(Error::failed(text));
        }
    }
    Ok(ExitCode::SUCCESS)
}
