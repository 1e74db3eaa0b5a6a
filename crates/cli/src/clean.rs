//! `syshandle clean`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use syshandle::{Error, Printable, Result};

use crate::output::outln;
use crate::paths::{self, Paths};
use crate::systemd;
use crate::target::{Scope, Target};

/// The registrations to remove. The programs and their folders need not exist any more.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    scope: Scope,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let target = Target::new(&arguments.scope)?;
    let registry = &target.registry;
    let own = registry.own_folder()?;
    for path in arguments.paths.all() {
        let path = paths::from_root(&path).map_err(|error| {
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

/// Returns whether a program is the named file, or is in the named folder. Compares both the paths
/// as given and the targets of their links.
fn is_within(program: &Path, path: &Path) -> bool {
    let names = |program: &Path, path: &Path| program == path || program.parent() == Some(path);
    let end = |path: &Path| -> PathBuf { fs::canonicalize(path).unwrap_or_else(|_| path.into()) };
    names(program, path) || names(&end(program), &end(path))
}
