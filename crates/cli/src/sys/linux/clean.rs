//! `syshandle clean` on Linux: removes the registrations of servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use syshandle::{Error, Result};
use syshandle_types::Printable;

use super::paths;
use super::systemd;
use super::target::Target;
use crate::arguments::CleanArguments;
use crate::output::outln;

pub(crate) fn run(arguments: &CleanArguments) -> Result<ExitCode> {
    let target = Target::new(&arguments.scope)?;
    let registry = &target.registry;
    let own = registry.own_folder()?;
    for path in arguments.paths.all() {
        let path = paths::absolute(&path).map_err(|error| {
            Error::failed(format!("{} can't be found: {error}", Printable(path.display())))
        })?;
        let mut removed = 0;
        for file in registry.list().into_iter().flatten() {
            let registration = &file.registration;
            if !is_within(&target.here(&registration.program), &path)
                || !file.path.starts_with(&own)
            {
                continue;
            }
            registry.clean(&file)?;
            systemd::clean(&target, registration)?;
            outln!("removed {}", Printable(file.path.display()));
            removed += 1;
        }
        if removed == 0 {
            let path = Printable(path.display());
            let text = format!("no program in {path} is registered {}", target.whose());
            return Err(Error::failed(text));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns whether a program is the file or in the folder that the user named. Compares the paths
/// both as given and with all links resolved.
fn is_within(program: &Path, path: &Path) -> bool {
    let names = |program: &Path, path: &Path| program == path || program.parent() == Some(path);
    let end = |path: &Path| -> PathBuf { fs::canonicalize(path).unwrap_or_else(|_| path.into()) };
    names(program, path) || names(&end(program), &end(path))
}
