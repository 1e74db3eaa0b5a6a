//! The part of the Windows registry in which COM finds servers and proxies.

mod proxies;

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::{RegKey, under_wine};
use syshandle_types::Guid;

pub use self::proxies::ProxyRegistration;
use crate::{Error, ErrorKind, Result};

/// The part of the registry in which classes are registered. On Windows, it belongs to the current
/// user, so it needs no privileges. Under Wine, it belongs to the machine, because Wine reads no
/// other part.
#[derive(Clone, Copy, Debug)]
pub struct ComRegistry(());

/// A class and the program that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRegistration {
    /// CLSID of the class.
    pub clsid: Guid,
    /// Name of the class.
    pub name: String,
    /// Program that COM starts.
    pub program: PathBuf,
    /// Arguments of the program. COM appends one of its own.
    pub arguments: Vec<String>,
    /// Environment variables for the program.
    pub environment: Vec<(String, String)>,
}

impl ComRegistry {
    /// Returns the part of the registry that COM reads and this user can write.
    pub fn own() -> Self {
        Self(())
    }

    /// Returns the registry path below which classes are registered.
    pub fn path(self) -> &'static str {
        match under_wine() {
            true => r"HKLM\Software\Classes\CLSID",
            false => r"HKCU\Software\Classes\CLSID",
        }
    }

    /// Registers a class, replacing an earlier registration.
    ///
    /// # Errors
    /// The errors of the registry.
    pub fn register(self, class: &ClassRegistration) -> Result<()> {
        let write = || -> io::Result<()> {
            let all = RegKey::create(self.path())?;
            let key = all.create_key(&braced(class.clsid))?;
            key.set_text("", &class.name)?;
            let server = key.create_key(LOCAL_SERVER)?;
            server.set_text("", &class.command_line())?;
            // Removes the environment variables of an earlier registration.
            let _ = key.remove_key(OWN);
            let own = key.create_key(OWN)?;
            own.set_text(PROGRAM, &class.program.display().to_string())?;
            let arguments = own.create_key(ARGUMENTS)?;
            for (i, argument) in class.arguments.iter().enumerate() {
                arguments.set_text(&i.to_string(), argument)?;
            }
            let environment = own.create_key(ENVIRONMENT)?;
            for (i, (name, value)) in class.environment.iter().enumerate() {
                let variable = environment.create_key(&i.to_string())?;
                variable.set_text("name", name)?;
                variable.set_text("value", value)?;
            }
            Ok(())
        };
        write().map_err(|error| {
            let text = format!("{} can't be registered in {}", class.name, self.path());
            Error::new(ErrorKind::System, text).because(error)
        })
    }

    /// Removes the registration of a class.
    ///
    /// # Errors
    /// The errors of the registry.
    pub fn clean(self, clsid: Guid) -> Result<()> {
        let all = RegKey::open(self.path())?;
        Ok(all.remove_key(&braced(clsid))?)
    }

    /// Returns the classes that this crate has registered.
    ///
    /// # Errors
    /// The errors of the registry.
    pub fn list(self) -> Result<Vec<ClassRegistration>> {
        let all = match RegKey::open_to_read(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let names = all.key_names()?;
        Ok(names.iter().filter_map(|name| read(&all, name)).collect())
    }

    /// Sets the environment variables in this process that are registered for a class.
    pub fn set_environment(self, clsid: Guid) {
        let all = RegKey::open_to_read(self.path()).ok();
        let class = all.and_then(|all| read(&all, &braced(clsid)));
        for (name, value) in class.map(|class| class.environment).unwrap_or_default() {
            syshandle_os::set_variable(&name, &value);
        }
    }
}

/// Reads the registration of a class by the name of its key. Returns `None` if this crate did not
/// create it.
fn read(all: &RegKey, name: &str) -> Option<ClassRegistration> {
    let clsid = name.parse().ok()?;
    let key = all.key(name).ok()?;
    let own = key.key(OWN).ok()?;
    let program = own.text(PROGRAM).ok()?.into();
    let environment = own.key(ENVIRONMENT).ok().map(|variables| {
        let names = variables.key_names().unwrap_or_default();
        let variable = |name: &String| {
            let variable = variables.key(name).ok()?;
            Some((variable.text("name").ok()?, variable.text("value").ok()?))
        };
        names.iter().filter_map(variable).collect()
    });
    let arguments = own
        .key(ARGUMENTS)
        .ok()
        .map(|arguments| (0..).map_while(|i: u32| arguments.text(&i.to_string()).ok()).collect());
    Some(ClassRegistration {
        clsid,
        name: key.text("").unwrap_or_default(),
        program,
        arguments: arguments.unwrap_or_default(),
        environment: environment.unwrap_or_default(),
    })
}

/// Formats a GUID in braces, as COM does.
fn braced(clsid: Guid) -> String {
    format!("{{{}}}", clsid.to_string().to_uppercase())
}

impl ClassRegistration {
    /// Returns the command line that COM runs. The program and each argument are quoted, because
    /// they may contain spaces.
    fn command_line(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\\\""));
        let arguments = self.arguments.iter().map(|argument| format!(" {}", quoted(argument)));
        quoted(&self.program.display().to_string()) + &arguments.collect::<String>()
    }

    /// Returns whether `path` is the program of the class or the program's folder.
    pub fn is_served_from(&self, path: &Path) -> bool {
        self.program == path || self.program.parent() == Some(path)
    }
}

/// Names of the keys that COM reads.
const LOCAL_SERVER: &str = "LocalServer32";
/// Names of the keys that only this crate uses, by which it recognizes its registrations.
const OWN: &str = "syshandle";
const PROGRAM: &str = "Program";
const ARGUMENTS: &str = "Arguments";
const ENVIRONMENT: &str = "Environment";
