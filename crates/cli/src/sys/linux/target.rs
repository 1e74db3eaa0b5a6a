//! The target of registrations and units: this user, all users of this machine, or a package.

use std::fs;
use std::path::{Path, PathBuf};

use syshandle::{Error, Result};
use syshandle_registry::Registry;
use syshandle_types::Printable;

use super::paths;
use crate::arguments::Scope;

/// The folders that a command writes registrations and units to.
pub(crate) struct Target {
    /// The registry, with its folders on this machine.
    pub(crate) registry: Registry,
    /// The folder that corresponds to the root folder of the machine on which the package will be
    /// installed.
    destdir: Option<PathBuf>,
    units: Units,
}

/// The service manager that units are written for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// The user manager of the current user.
    User,
    /// The system manager of this machine, with units in the administrator's folder.
    System,
    /// The system manager of another machine, with units in a package.
    Package,
}

impl Target {
    /// Creates the target for a scope.
    ///
    /// # Errors
    /// Returns an error if the package's path can't be resolved.
    pub(crate) fn new(scope: &Scope) -> Result<Self> {
        let all_users = |data: PathBuf, data_dirs| {
            // With a stricter umask, other users could not read the files.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
            Registry { data_home: Some(data), data_dirs, runtime_dir: None }
        };
        Ok(match &scope.destdir {
            Some(destdir) => {
                let destdir = paths::absolute(destdir).map_err(|error| {
                    let destdir = Printable(destdir.display());
                    Error::failed(format!("{destdir} can't be found: {error}"))
                })?;
                let registry = all_users(destdir.join("usr/share"), Vec::new());
                Self { registry, destdir: Some(destdir), units: Units::Package }
            }
            None if scope.system => {
                let registry = all_users("/usr/local/share".into(), vec!["/usr/share".into()]);
                Self { registry, destdir: None, units: Units::System }
            }
            None => {
                let registry = Registry::from_environment();
                Self { registry, destdir: None, units: Units::User }
            }
        })
    }

    /// Returns the service manager that units are written for.
    pub(crate) fn units(&self) -> Units {
        self.units
    }

    /// Returns the path that a file will have on the target machine.
    ///
    /// # Errors
    /// Returns an error if the file is not in the package.
    pub(crate) fn installed(&self, path: &Path) -> Result<PathBuf> {
        let Some(destdir) = &self.destdir else { return Ok(path.to_owned()) };
        let within = match path.strip_prefix(destdir) {
            Ok(within) => Some(within.to_owned()),
            // One of the two paths contains a link. The last component is not resolved, because it
            // may be a link in the package.
            Err(_) => canonical(path).and_then(|path| {
                let destdir = fs::canonicalize(destdir).ok()?;
                Some(path.strip_prefix(destdir).ok()?.to_owned())
            }),
        };
        let within = within.ok_or_else(|| {
            let (path, destdir) = (Printable(path.display()), Printable(destdir.display()));
            Error::failed(format!(
                "{path} is not below {destdir} (--destdir), so the package can't contain it"
            ))
        })?;
        Ok(Path::new("/").join(within))
    }

    /// Converts a path on the target machine to the path on this machine, which is below the
    /// package's folder.
    pub(crate) fn here(&self, installed: &Path) -> PathBuf {
        match &self.destdir {
            Some(destdir) => destdir.join(installed.strip_prefix("/").unwrap_or(installed)),
            None => installed.to_owned(),
        }
    }

    /// Describes whose registrations these are, for messages.
    pub(crate) fn whose(&self) -> &'static str {
        match self.units {
            Units::User => "for this user (registrations for all users need --system)",
            Units::System => "for all users in /usr/local/share",
            Units::Package => "in this package",
        }
    }
}

/// Returns a path whose parent folder is canonical.
fn canonical(path: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?))
}
