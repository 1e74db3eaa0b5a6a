//! The place where registrations and units are written: for this user, for all users, or into a
//! package.

use std::fs;
use std::path::{Path, PathBuf};

use syshandle::{Error, Result};
use syshandle_registry::Registry;
use syshandle_types::Printable;

use super::paths;
use crate::arguments::Scope;

/// The folders that a command writes to.
pub(crate) struct Target {
    /// The folders on this machine.
    pub(crate) registry: Registry,
    /// The folder that represents the root of the package's target machine.
    destdir: Option<PathBuf>,
    units: Units,
}

/// The service manager for which units are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// The user manager of this user.
    User,
    /// The system manager, with units of the administrator.
    System,
    /// The system manager of another machine, with units of a package.
    Package,
}

impl Target {
    /// Returns the folders of this scope.
    ///
    /// # Errors
    /// The path of the package can't be resolved.
    pub(crate) fn new(scope: &Scope) -> Result<Self> {
        let all_users = |data: PathBuf, data_dirs| {
            // A stricter umask would prevent other users from reading the files.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
            Registry { data_home: Some(data), data_dirs, runtime_dir: None }
        };
        Ok(match &scope.destdir {
            Some(destdir) => {
                let destdir = paths::absolute(destdir)?;
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

    /// Returns the service manager for which units are written.
    pub(crate) fn units(&self) -> Units {
        self.units
    }

    /// Returns the path of a file on the target machine.
    ///
    /// # Errors
    /// The file is not in the package.
    pub(crate) fn installed(&self, path: &Path) -> Result<PathBuf> {
        let Some(destdir) = &self.destdir else { return Ok(path.to_owned()) };
        let within = match path.strip_prefix(destdir) {
            Ok(within) => Some(within.to_owned()),
            // One of the two paths contains a link. The last component may be a link of the package
            // and is not resolved.
            Err(_) => canonical(path).and_then(|path| {
                let destdir = fs::canonicalize(destdir).ok()?;
                Some(path.strip_prefix(destdir).ok()?.to_owned())
            }),
        };
        let within = within.ok_or_else(|| {
            let (path, destdir) = (Printable(path.display()), Printable(destdir.display()));
            Error::failed(format!(
                "{path} is not below {destdir} (--destdir), so no package has it"
            ))
        })?;
        Ok(Path::new("/").join(within))
    }

    /// Returns the path on this machine of a file of the target machine.
    pub(crate) fn here(&self, installed: &Path) -> PathBuf {
        match &self.destdir {
            Some(destdir) => destdir.join(installed.strip_prefix("/").unwrap_or(installed)),
            None => installed.to_owned(),
        }
    }

    /// Describes the registry for messages.
    pub(crate) fn whose(&self) -> &'static str {
        match self.units {
            Units::User => "for this user (registrations for all users need --system)",
            Units::System => "for all users in /usr/local/share",
            Units::Package => "in this package",
        }
    }
}

/// Returns a path with a canonical folder.
fn canonical(path: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?))
}
