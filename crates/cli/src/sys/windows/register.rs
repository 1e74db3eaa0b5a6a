//! `syshandle register` on Windows: writes registrations to the Windows registry.

use std::path::Path;
use std::process::ExitCode;

use syshandle::{Error, Result};
use syshandle_registry::{ClassRegistration, ComRegistry};
use syshandle_types::Printable;

use super::programs;
use crate::arguments::RegisterArguments;
use crate::output::outln;

pub(crate) fn run(arguments: &RegisterArguments) -> Result<ExitCode> {
    arguments.paths.all().iter().try_for_each(|path| register(path, arguments))?;
    Ok(ExitCode::SUCCESS)
}

fn register(path: &Path, arguments: &RegisterArguments) -> Result<()> {
    let place = Printable(path.display());
    let unreadable = |error| Error::failed(format!("{place} can't be searched: {error}"));
    let programs = programs::find(path).map_err(unreadable)?;
    let proxies = match arguments.proxy {
        true => programs::find_proxies(path).map_err(unreadable)?,
        false => Vec::new(),
    };
    let missing = match arguments.proxy {
        true if proxies.is_empty() => {
            Some("no proxy DLL: build it, and check that it calls `syshandle::proxy_dll!`")
        }
        false if programs.is_empty() => Some(
            "no program that serves a class: build it, and check that it calls `Server::class`",
        ),
        _ => None,
    };
    if let Some(missing) = missing {
        return Err(Error::failed(format!("{place} contains {missing}")));
    }
    let registry = ComRegistry::own();
    for proxy in proxies {
        registry.register_proxy(&proxy)?;
        for (iid, name) in &proxy.interfaces {
            outln!("registered the proxy of {} {{{iid}}}", Printable(name));
        }
        outln!("         of {{{}}}", proxy.clsid);
        outln!("         in {}", Printable(proxy.library.display()));
    }
    for program in programs {
        for class in &program.classes {
            let registered = ClassRegistration {
                clsid: class.clsid,
                name: class.name.clone(),
                program: program.path.clone(),
                arguments: Vec::new(),
                environment: arguments.options.environment.clone(),
            };
            registry.register(&registered)?;
            outln!("registered {} {{{}}}", Printable(&class.name), class.clsid);
            outln!("        for {}", Printable(program.path.display()));
            outln!("         in {}", registry.path());
        }
    }
    Ok(())
}
