//! `syshandle clean`.

use std::path::PathBuf;
use std::process::ExitCode;

use syshandle::{Error, Locations, Result};

use crate::systemd;

/// What to remove.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the servers' programs, or one program; it needn't exist any more
    #[arg(long, default_value = ".")]
    path: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let locations = Locations::from_environment();
    let path = std::path::absolute(&arguments.path)?;
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let registry = locations.own_registry()?;
    let mut removed = 0;
    for registered in locations.list().into_iter().flatten() {
        let registration = &registered.registration;
        let meant = registration.program == path || registration.program.parent() == Some(&path);
        if !meant || !registered.file.starts_with(&registry) {
            continue;
        }
        locations.clean(&registered)?;
        systemd::clean(registration)?;
        println!("removed {}", registered.file.display());
        removed += 1;
    }
    if removed == 0 {
        let text = format!("no program in {} is registered for this user", path.display());
        return Err(Error::failed(text));
    }
    Ok(ExitCode::SUCCESS)
}
