//! `syshandle log`: shows the output of a class's server.

use std::fs;
use std::io;
use std::process::ExitCode;

use syshandle::{Error, Result};
use syshandle_registry::{Registry, RuntimePaths};
use syshandle_types::Printable;

use super::class::ClassArgument;
use super::systemd;
use crate::output::{errln, write_out};

/// Arguments of `syshandle log`.
#[derive(clap::Args)]
pub(crate) struct LogArguments {
    /// The class, by its name or identifier
    class: ClassArgument,
}

pub(crate) fn run(arguments: &LogArguments) -> Result<ExitCode> {
    let registry = Registry::from_environment();
    let file = registry.find(arguments.class.find(&registry)?)?;
    let registration = &file.registration;
    if let Some(socket) = &registration.socket {
        return Err(Error::failed(format!(
            "there is no log: the program that listens at {} starts this server and receives its \
             output (for systemd, `{}`)",
            Printable(socket.display()),
            systemd::command(registration, "journalctl", "--unit", "service")
        )));
    }
    let paths = RuntimePaths::of(&file, &registry)?;
    match fs::read(&paths.log) {
        Ok(text) => write_out(format_args!("{}", String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            errln!("no client has started this server: {} does not exist", paths.log.display());
        }
        Err(error) => {
            let text = format!("{} can't be read: {error}", paths.log.display());
            return Err(Error::failed(text));
        }
    }
    Ok(ExitCode::SUCCESS)
}
