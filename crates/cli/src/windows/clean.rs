//! `syshandle clean`, from the registry.

use std::path::PathBuf;
use std::process::ExitCode;

use syshandle::{Error, Registry, Result};

/// What to remove.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the servers' programs, or one of them, or a proxy DLL; it needn't exist any more
    #[arg(long, default_value = ".")]
    path: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = std::path::absolute(&arguments.path)?;
    let path = std::fs::canonicalize(&path).map_or(path, crate::programs::plain);
    let registry = Registry::own();
    let mut removed = 0;
    for class in registry.list()? {
        if class.is_served_from(&path) {
            registry.clean(class.clsid)?;
            println!("removed {} {{{}}}", class.name, class.clsid);
            removed += 1;
        }
    }
    for proxy in registry.proxies()? {
        if proxy.is_from(&path) {
            registry.clean_proxy(&proxy)?;
            println!("removed the proxies of {}", proxy.library.display());
            removed += 1;
        }
    }
    if removed == 0 {
        let text = format!("nothing in {} is registered for this user", path.display());
        return Err(Error::failed(text));
    }
    Ok(ExitCode::SUCCESS)
}
