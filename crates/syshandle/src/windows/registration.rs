//! Where COM finds servers and proxies: the registry.

mod proxies;

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::{RegKey, under_wine};
use syshandle_wire::Guid;

pub use self::proxies::RegisteredProxy;
use crate::{Error, ErrorKind, Result};

/// The part of the registry where classes are registered: for this user on Windows, which takes no
/// rights; for all under Wine, which looks nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Registry(());

/// A class, and the program that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The identifier of the class.
    pub clsid: Guid,
    /// Its name.
    pub name: String,
    /// The program that COM starts.
    pub program: PathBuf,
    /// Arguments for it; COM adds one of its own.
    pub arguments: Vec<String>,
    /// Variables for the program's environment.
    pub environment: Vec<(String, String)>,
}

impl Registry {
    /// The part that this program's user can write, and where COM looks.
    pub fn own() -> Self {
        Self(())
    }

    /// Its path in the registry.
    pub fn path(self) -> &'static str {
        match under_wine() {
            true => r"HKLM\Software\Classes\CLSID",
            false => r"HKCU\Software\Classes\CLSID",
        }
    }

    /// Registers a class, in place of what was registered for it.
    ///
    /// # Errors
    /// Those of the registry.
    pub fn register(self, class: &Registered) -> Result<()> {
        let write = || -> io::Result<()> {
            let all = RegKey::create(self.path())?;
            let key = all.create_key(&braced(class.clsid))?;
            key.set_text("", &class.name)?;
            let server = key.create_key(LOCAL_SERVER)?;
            server.set_text("", &class.command_line())?;
            // A program that was registered with variables before doesn't keep them.
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
    /// Those of the registry.
    pub fn clean(self, clsid: Guid) -> Result<()> {
        let all = RegKey::open(self.path())?;
        Ok(all.remove_key(&braced(clsid))?)
    }

    /// The classes that were registered by this crate.
    ///
    /// # Errors
    /// Those of the registry.
    pub fn list(self) -> Result<Vec<Registered>> {
        let all = match RegKey::open_to_read(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let names = all.key_names()?;
        Ok(names.iter().filter_map(|name| read(&all, name)).collect())
    }
}

/// Gives this program the variables that it was registered with for a class.
pub(crate) fn take_environment(clsid: Guid) {
    let registered = RegKey::open_to_read(Registry::own().path())
        .ok()
        .and_then(|all| read(&all, &braced(clsid)));
    for (name, value) in registered.map(|class| class.environment).unwrap_or_default() {
        syshandle_os::set_variable(&name, &value);
    }
}

/// A class by the name of its key; `None` where it isn't one of ours.
fn read(all: &RegKey, name: &str) -> Option<Registered> {
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
    Some(Registered {
        clsid,
        name: key.text("").unwrap_or_default(),
        program,
        arguments: arguments.unwrap_or_default(),
        environment: environment.unwrap_or_default(),
    })
}

/// As COM writes it.
fn braced(clsid: Guid) -> String {
    format!("{{{}}}", clsid.to_string().to_uppercase())
}

impl Registered {
    /// What COM starts. Quoted, as a space ends the name of a program, or an argument.
    fn command_line(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\\\""));
        let arguments = self.arguments.iter().map(|argument| format!(" {}", quoted(argument)));
        quoted(&self.program.display().to_string()) + &arguments.collect::<String>()
    }

    /// Whether a program, or one of a folder's, serves the class.
    pub fn is_served_from(&self, path: &Path) -> bool {
        self.program == path || self.program.parent() == Some(path)
    }
}

/// What COM reads.
const LOCAL_SERVER: &str = "LocalServer32";
/// What says that a class is registered by this crate, and how.
const OWN: &str = "syshandle";
const PROGRAM: &str = "Program";
const ARGUMENTS: &str = "Arguments";
const ENVIRONMENT: &str = "Environment";
