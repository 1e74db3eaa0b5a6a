//! `syshandle register`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use syshandle::{Error, Locations, Policy, RegisteredClass, Registration, Result};

use crate::{programs, systemd};

/// What to register, and how.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the servers' programs, or one program
    #[arg(long, default_value = ".")]
    path: PathBuf,
    /// Write units for systemd's user manager instead, which then starts the servers
    #[arg(long)]
    systemd: bool,
    /// A variable for the environment of the servers
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let locations = Locations::from_environment();
    let place = arguments.path.display();
    let programs = programs::find(&arguments.path)
        .map_err(|error| Error::failed(format!("{place} can't be looked through: {error}")))?;
    if programs.is_empty() {
        let text = format!(
            "{place} has no program that serves a class: one calls `Server::class`. Is it built?"
        );
        return Err(Error::failed(text));
    }
    for program in programs {
        let classes = program.classes.iter().map(|class| RegisteredClass {
            clsid: class.clsid,
            name: class.name.clone(),
            interfaces: class.interfaces.clone(),
        });
        let classes: Vec<_> = classes.collect();
        let mut registration = Registration {
            name: locations.name_for(&program.path, &classes)?,
            program: program.path,
            arguments: Vec::new(),
            environment: arguments.environment.iter().cloned().collect::<BTreeMap<_, _>>(),
            socket: None,
            policy: Policy::same_user(),
            start_timeout: Registration::START_TIMEOUT,
            classes,
        };
        replaces(&locations, &registration);
        match arguments.systemd {
            true => systemd::register(&locations, &mut registration)?,
            false => systemd::clean(&registration)?,
        }
        let file = locations.register(&registration)?;
        for class in &registration.classes {
            println!("registered {} {{{}}}", class.name, class.clsid);
            println!("        for {}", registration.program.display());
            println!("         in {}", file.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says so when a class was registered for another program before.
fn replaces(locations: &Locations, new: &Registration) {
    for class in &new.classes {
        if let Ok(old) = locations.find(class.clsid)
            && old.registration.program != new.program
        {
            println!("{} was served by {}", class.name, old.registration.program.display());
        }
    }
}

/// Reads `NAME=VALUE`.
fn variable(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}
