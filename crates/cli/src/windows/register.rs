//! `syshandle register`, in the registry.

use std::path::PathBuf;
use std::process::ExitCode;

use syshandle::{Error, Registered, Registry, Result};

use crate::programs;

/// What to register, and how.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the servers' programs, or one program
    #[arg(long, default_value = ".")]
    path: PathBuf,
    /// A variable for the environment of the servers
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let place = arguments.path.display();
    let programs = programs::find(&arguments.path)
        .map_err(|error| Error::failed(format!("{place} can't be looked through: {error}")))?;
    if programs.is_empty() {
        let text = format!(
            "{place} has no program that serves a class: one calls `Server::class`. Is it built?"
        );
        return Err(Error::failed(text));
    }
    let registry = Registry::own();
    for program in programs {
        for class in &program.classes {
            let registered = Registered {
                clsid: class.clsid,
                name: class.name.clone(),
                program: program.path.clone(),
                arguments: Vec::new(),
                environment: arguments.environment.clone(),
            };
            registry.register(&registered)?;
            println!("registered {} {{{}}}", class.name, class.clsid);
            println!("        for {}", program.path.display());
            println!("         in {}", registry.path());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads `NAME=VALUE`.
fn variable(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}
