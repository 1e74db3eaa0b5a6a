//! Where registrations are: in the XDG data folders, those of the user before the system's.
//!
//! `syshandle/programs/NAME.toml` is the registration of a program, and
//! `syshandle/classes/CLSID` a link to it for each class, so that a class is found without looking
//! at all programs.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use syshandle_wire::Guid;

use super::registration::Registration;
use super::trust;
use crate::{Error, ErrorKind, Result};

/// The folders that activation works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    /// The user's own data: `$XDG_DATA_HOME`, else `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// The system's data: `$XDG_DATA_DIRS`, else `/usr/local/share` and `/usr/share`.
    pub data_dirs: Vec<PathBuf>,
    /// Sockets and locks: `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

/// A registration and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The registration.
    pub registration: Registration,
    /// Its file.
    pub file: PathBuf,
}

impl Locations {
    /// Those that the environment names
    /// ([XDG Base Directory](https://specifications.freedesktop.org/basedir-spec/latest/)). A
    /// program with more rights than its caller (set-user-id) has only the system's.
    pub fn from_environment() -> Self {
        if syshandle_os::is_elevated() {
            return Self { data_home: None, data_dirs: system_dirs(), runtime_dir: None };
        }
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let home = || Some(absolute("HOME")?.join(".local/share"));
        let dirs = std::env::var_os("XDG_DATA_DIRS").filter(|dirs| !dirs.is_empty());
        Self {
            data_home: absolute("XDG_DATA_HOME").or_else(home),
            data_dirs: dirs.map_or_else(system_dirs, |dirs: OsString| {
                std::env::split_paths(&dirs).filter(|path| path.is_absolute()).collect()
            }),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
        }
    }

    /// The variables that name the same folders to another program.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let dirs: Vec<_> = self.data_dirs.iter().map(|dir| text(dir)).collect();
        let home = self.data_home.as_deref().map(|home| ("XDG_DATA_HOME".into(), text(home)));
        let runtime = self.runtime_dir.as_deref().map(|dir| ("XDG_RUNTIME_DIR".into(), text(dir)));
        home.into_iter().chain(runtime).chain([("XDG_DATA_DIRS".into(), dirs.join(":"))])
    }

    /// The registry folders, the user's first.
    fn registries(&self) -> impl Iterator<Item = PathBuf> {
        self.data_home.iter().chain(&self.data_dirs).map(|dir| dir.join("syshandle"))
    }

    /// Finds the registration of a class.
    ///
    /// # Errors
    /// [`ErrorKind::NotRegistered`], [`ErrorKind::BadRegistration`], [`ErrorKind::Insecure`].
    pub fn find(&self, clsid: Guid) -> Result<Registered> {
        for registry in self.registries() {
            let link = registry.join("classes").join(clsid.to_string());
            let program = match fs::read_link(&link) {
                Ok(target) => target,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&link).because(error)),
            };
            // The link names a program of the same registry and nothing else.
            let file_name = program.file_name().ok_or_else(|| unreadable(&link))?;
            let file = registry.join("programs").join(file_name);
            for folder in [&registry, &registry.join("classes"), &registry.join("programs")] {
                trust::check(folder, &fs::metadata(folder)?)?;
            }
            let found = read(&file).map_err(|error| error.at(&file.display().to_string()))?;
            if !found.registration.classes.iter().any(|class| class.clsid == clsid) {
                let text = format!("{}: it doesn't name class {clsid}", file.display());
                return Err(Error::new(ErrorKind::BadRegistration, text));
            }
            return Ok(found);
        }
        let folders: Vec<_> = self.registries().map(|dir| dir.display().to_string()).collect();
        let text = format!(
            "class {clsid} is not registered; looked in {}. `syshandle register` does that",
            folders.join(", ")
        );
        Err(Error::new(ErrorKind::NotRegistered, text))
    }

    /// All registrations, the user's first; those that can't be read as their errors.
    pub fn list(&self) -> Vec<Result<Registered>> {
        let mut all = Vec::new();
        for registry in self.registries() {
            let Ok(entries) = fs::read_dir(registry.join("programs")) else { continue };
            let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
            files.sort();
            all.extend(
                files
                    .iter()
                    .map(|file| read(file).map_err(|error| error.at(&file.display().to_string()))),
            );
        }
        all
    }

    /// Registers a program for this user: writes its file and the links of its classes, whole or
    /// not at all. Returns the file.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn register(&self, registration: &Registration) -> Result<PathBuf> {
        let name = &registration.name;
        let registry = self.own_registry()?;
        let cannot = |path: &Path| {
            Error::new(ErrorKind::System, format!("{} can't be written", path.display()))
        };
        for folder in ["programs", "classes"] {
            let folder = registry.join(folder);
            fs::create_dir_all(&folder).map_err(|error| cannot(&folder).because(error))?;
            trust::check(&folder, &fs::metadata(&folder)?)?;
        }
        let file = registry.join("programs").join(format!("{name}.toml"));
        let new = file.with_extension("new");
        fs::write(&new, registration.write())
            .and_then(|()| fs::rename(&new, &file))
            .map_err(|error| cannot(&file).because(error))?;
        for class in &registration.classes {
            let link = registry.join("classes").join(class.clsid.to_string());
            let new = link.with_extension("new");
            let target = Path::new("../programs").join(format!("{name}.toml"));
            let _ = fs::remove_file(&new);
            std::os::unix::fs::symlink(target, &new)
                .and_then(|()| fs::rename(&new, &link))
                .map_err(|error| cannot(&link).because(error))?;
        }
        Ok(file)
    }

    /// Removes a registration of this user's; links of its classes that lead elsewhere stay.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn clean(&self, registered: &Registered) -> Result<()> {
        let registry = self.own_registry()?;
        let cannot = |path: &Path| {
            Error::new(ErrorKind::System, format!("{} can't be removed", path.display()))
        };
        for class in &registered.registration.classes {
            let link = registry.join("classes").join(class.clsid.to_string());
            let leads_here = fs::read_link(&link)
                .is_ok_and(|target| target.file_name() == registered.file.file_name());
            if leads_here {
                fs::remove_file(&link).map_err(|error| cannot(&link).because(error))?;
            }
        }
        fs::remove_file(&registered.file).map_err(|error| cannot(&registered.file).because(error))
    }

    /// The registry folder of this user.
    pub fn own_registry(&self) -> Result<PathBuf> {
        let home = self.data_home.as_ref().ok_or_else(|| {
            let text = "there is no folder for this user's data: XDG_DATA_HOME and HOME aren't set";
            Error::new(ErrorKind::System, text)
        })?;
        Ok(home.join("syshandle"))
    }
}

/// Reads a registration file.
fn read(path: &Path) -> Result<Registered> {
    let unreadable = |error| unreadable(path).because(error);
    // Before it is opened: that of a FIFO would wait for somebody to write.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::new(ErrorKind::BadRegistration, "it is no ordinary file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    trust::check(path, &file.metadata().map_err(unreadable)?)?;
    let mut text = String::new();
    let limit = Registration::FILE_BYTES_MAX;
    let len = file.take(limit + 1).read_to_string(&mut text);
    let len = len.map_err(unreadable)?;
    if len as u64 > limit {
        let text = format!("it is larger than {limit} bytes");
        return Err(Error::new(ErrorKind::BadRegistration, text));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Registered { registration: Registration::parse(&name, &text)?, file: path.to_owned() })
}

fn unreadable(path: &Path) -> Error {
    Error::new(ErrorKind::BadRegistration, format!("{} can't be read", path.display()))
}

fn system_dirs() -> Vec<PathBuf> {
    vec!["/usr/local/share".into(), "/usr/share".into()]
}
