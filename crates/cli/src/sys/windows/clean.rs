//! `syshandle clean` on Windows: removes registrations from the Windows registry.

use std::path::Path;
use std::process::ExitCode;

use syshandle::{Error, Result};
use syshandle_registry::ComRegistry;
use syshandle_types::Printable;

use crate::arguments::CleanArguments;
use crate::output::outln;

pub(crate) fn run(arguments: &CleanArguments) -> Result<ExitCode> {
    arguments.paths.all().iter().try_for_each(|path| clean(path))?;
    Ok(ExitCode::SUCCESS)
}

fn clean(path: &Path) -> Result<()> {
    let path = std::path::absolute(path)?;
    let path = std::fs::canonicalize(&path).map_or(path, super::programs::plain);
    let registry = ComRegistry::own();
    let mut removed = 0;
    for class in registry.list()? {
        if class.is_served_from(&path) {
            registry.clean(class.clsid)?;
            outln!("removed {} {{{}}}", Printable(&class.name), class.clsid);
            removed += 1;
        }
    }
    for proxy in registry.proxies()? {
        if proxy.is_from(&path) {
            registry.clean_proxy(&proxy)?;
            outln!("removed the proxies of {}", Printable(proxy.library.display()));
            removed += 1;
        }
    }
    if removed == 0 {
        let path = Printable(path.display());
        let text = format!("no program or library in {path} is registered for this user");
        return Err(Error::failed(text));
    }
    Ok(())
}
