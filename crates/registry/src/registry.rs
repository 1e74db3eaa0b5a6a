//! The registration folders in the XDG data folders. The folders of the user come before the
//! folders of the system.
//!
//! `syshandle/programs/NAME.toml` is the registration of a program. For each of its classes,
//! `syshandle/classes/CLSID` is a symbolic link to it, so that a class is found without reading all
//! registrations.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use syshandle_os::{FileStatus, PerProcess, unfinished, within_file_size_limit};
use syshandle_types::Guid;

use crate::registration::{RegisteredClass, Registration};
use crate::{Error, ErrorKind, Result, trust};

/// The folders of registrations, and the folder for the runtime files of servers.
// Not `non_exhaustive`, so that programs with their own folders can construct it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The user's data folder: `$XDG_DATA_HOME`, or else `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// The system's data folders: `$XDG_DATA_DIRS`, or else `/usr/local/share` and `/usr/share`.
    pub data_dirs: Vec<PathBuf>,
    /// The folder for sockets and locks: `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

/// A registration and the file that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationFile {
    /// The registration.
    pub registration: Registration,
    /// Path of the file.
    pub path: PathBuf,
}

impl Registry {
    /// Returns the folders according to the environment ([XDG Base
    /// Directory](https://specifications.freedesktop.org/basedir-spec/latest/)). A program with
    /// more privileges than its caller (set-user-ID) gets only the system's folders.
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

    /// Returns the environment variables that give another program the same folders.
    pub fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let variable = |name: &str, path: &PathBuf| (name.into(), path.clone().into_os_string());
        let home = self.data_home.as_ref().map(|home| variable("XDG_DATA_HOME", home));
        let runtime = self.runtime_dir.as_ref().map(|dir| variable("XDG_RUNTIME_DIR", dir));
        // A folder with a colon in its name can't be part of a list, so it is left out.
        let fits = |dir: &&PathBuf| !dir.as_os_str().as_encoded_bytes().contains(&b':');
        let dirs = std::env::join_paths(self.data_dirs.iter().filter(fits)).unwrap_or_default();
        home.into_iter().chain(runtime).chain([("XDG_DATA_DIRS".into(), dirs)])
    }

    /// Returns the registration folders. The folder of the user comes first.
    #[doc(hidden)]
    pub fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.data_home.iter().chain(&self.data_dirs).map(|dir| dir.join("syshandle"))
    }

    /// Finds the registration of a class, and checks that a server may be started from it.
    ///
    /// # Errors
    /// [`ErrorKind::NotRegistered`], [`ErrorKind::BadRegistration`], [`ErrorKind::Insecure`],
    /// [`ErrorKind::ActivationDenied`].
    #[doc(hidden)]
    pub fn find(&self, clsid: Guid) -> Result<RegistrationFile> {
        trusted(self.look_up(clsid)?)
    }

    /// Finds the registration of a class. If no server may be started from it, also returns the
    /// reason.
    ///
    /// # Errors
    /// [`ErrorKind::NotRegistered`] and [`ErrorKind::BadRegistration`].
    /// [`ErrorKind::ActivationDenied`] if this process may not read the registration.
    #[doc(hidden)]
    pub fn look_up(&self, clsid: Guid) -> Result<(RegistrationFile, Option<Error>)> {
        for folder in self.folders() {
            let link = folder.join("classes").join(clsid.to_string());
            let program = match fs::read_link(&link) {
                Ok(target) => target,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&link, error)),
            };
            // Only the file name of the link's target counts. The registration is always in the
            // same registration folder as the link.
            let Some(file_name) = program.file_name() else {
                let text = format!("{} does not link to a registration", link.display());
                return Err(Error::new(ErrorKind::BadRegistration, text));
            };
            let file = folder.join("programs").join(file_name);
            let mut distrust = None;
            for folder in [&folder, &folder.join("classes"), &folder.join("programs")] {
                let status = FileStatus::at(folder).map_err(|error| unreadable(folder, error))?;
                distrust = distrust.or(trust::check(folder, &status).err());
            }
            let (found, insecure) = read(&file)?;
            if !found.registration.classes.iter().any(|class| class.clsid == clsid) {
                let text = format!("{}: it does not list class {clsid}", file.display());
                return Err(Error::new(ErrorKind::BadRegistration, text));
            }
            return Ok((found, distrust.or(insecure)));
        }
        let folders: Vec<_> = self.folders().map(|dir| dir.display().to_string()).collect();
        let text = format!(
            "class {clsid} is not registered: no registration in {} (`syshandle register` writes one)",
            folders.join(", ")
        );
        Err(Error::new(ErrorKind::NotRegistered, text))
    }

    /// Returns all registrations. The registrations of the user come first. For an unreadable or
    /// untrusted registration, returns the error.
    #[doc(hidden)]
    pub fn list(&self) -> Vec<Result<RegistrationFile>> {
        let mut all = Vec::new();
        for folder in self.folders() {
            let Ok(entries) = fs::read_dir(folder.join("programs")) else { continue };
            let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
            files.sort();
            all.extend(files.iter().map(|file| trusted(read(file)?)));
        }
        all
    }

    /// Returns a name under which a program with these classes can be registered. This is the name
    /// of the program file. If another program with different classes is registered under that
    /// name, a number is appended.
    ///
    /// # Errors
    /// [`ErrorKind::BadRegistration`] if the path of the program can't be written to a
    /// registration.
    #[doc(hidden)]
    pub fn name_for(&self, program: &Path, classes: &[RegisteredClass]) -> Result<String> {
        let name = program.file_name().and_then(|name| name.to_str());
        let (Some(name), Some(_)) = (name, program.to_str()) else { return Err(not_text(program)) };
        let programs = self.own_folder()?.join("programs");
        // The name is used by the same program, or by another build of it, which this one replaces.
        let is_free = |name: &str| match read(&file_of(&programs, name)) {
            Err(_) => true,
            Ok((RegistrationFile { registration: old, .. }, _)) => {
                let superseded =
                    |old: &RegisteredClass| classes.iter().any(|class| class.clsid == old.clsid);
                old.program == program || old.classes.iter().all(superseded)
            }
        };
        let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(|name| is_free(name)).ok_or_else(|| not_text(program))
    }

    /// Registers a program for this user by writing its file and the links of its classes. If an
    /// error occurs, nothing is changed. A file or link that already has the right content is left
    /// unchanged. Returns the path of the file.
    ///
    /// # Errors
    /// The folder can't be written, other users may write to it, or a path can't be written to a
    /// registration.
    #[doc(hidden)]
    pub fn register(&self, registration: &Registration) -> Result<PathBuf> {
        for path in registration.socket.iter().chain([&registration.program]) {
            path.to_str().ok_or_else(|| not_text(path))?;
        }
        let own = self.own_folder()?;
        let cannot = |path: &Path| {
            Error::new(ErrorKind::System, format!("{} can't be written", path.display()))
        };
        let [programs, classes] = ["programs", "classes"].map(|folder| own.join(folder));
        for folder in [&programs, &classes] {
            // Sets the mode regardless of the umask, because no other user may write there.
            let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
            made.map_err(|error| cannot(folder).because(error))?;
        }
        for folder in [&own, &programs, &classes] {
            let status = FileStatus::at(folder).map_err(|error| cannot(folder).because(error))?;
            trust::check(folder, &status)?;
        }
        let file = file_of(&programs, &registration.name);
        let old = read(&file).ok().map(|(old, _)| old);
        // A file with the same registration is not rewritten, so that it keeps its comments.
        if old.as_ref().is_none_or(|old| old.registration != *registration) {
            replace(&file, |new| {
                let mut options = File::options();
                options.write(true).create_new(true).mode(0o644);
                let mut file = options.open(new)?;
                within_file_size_limit(|| file.write_all(registration.write().as_bytes()))
            })
            .map_err(|error| cannot(&file).because(error))?;
        }
        for class in &registration.classes {
            let link = classes.join(class.clsid.to_string());
            let target = Path::new("../programs").join(file.file_name().unwrap_or_default());
            if fs::read_link(&link).is_ok_and(|old| old == target) {
                continue;
            }
            replace(&link, |new| symlink(&target, new))
                .map_err(|error| cannot(&link).because(error))?;
        }
        // The classes that the program no longer serves.
        let mut gone = old.map(|old| old.registration.classes).unwrap_or_default();
        gone.retain(|old| registration.classes.iter().all(|class| class.clsid != old.clsid));
        remove_links(&classes, &gone, &file)?;
        Ok(file)
    }

    /// Removes a registration of this user, and the links that lead to it.
    ///
    /// # Errors
    /// The files can't be removed.
    #[doc(hidden)]
    pub fn clean(&self, file: &RegistrationFile) -> Result<()> {
        let own = self.own_folder()?;
        remove_links(&own.join("classes"), &file.registration.classes, &file.path)?;
        fs::remove_file(&file.path).map_err(|error| cannot_be_removed(&file.path).because(error))
    }

    /// Returns this user's registration with this name, if there is one.
    ///
    /// # Errors
    /// The file can't be read, or is not a valid registration.
    #[doc(hidden)]
    pub fn own(&self, name: &str) -> Result<Option<RegistrationFile>> {
        let file = file_of(&self.own_folder()?.join("programs"), name);
        if fs::symlink_metadata(&file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        trusted(read(&file)?).map(Some)
    }

    /// Returns the registration folder of this user.
    ///
    /// # Errors
    /// The environment names no data folder for this user.
    #[doc(hidden)]
    pub fn own_folder(&self) -> Result<PathBuf> {
        let home = self.data_home.as_ref().ok_or_else(|| {
            let text = "there is no folder for this user's data: XDG_DATA_HOME and HOME aren't set";
            Error::new(ErrorKind::System, text)
        })?;
        Ok(home.join("syshandle"))
    }
}

/// Returns the path of the registration file with this name.
fn file_of(programs: &Path, name: &str) -> PathBuf {
    programs.join(format!("{name}.toml"))
}

/// Atomically replaces a file or link. `make` creates it under a temporary name, which is then
/// renamed to `path`.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new = unfinished(path);
    make(&new).and_then(|()| fs::rename(&new, path)).inspect_err(|_| drop(fs::remove_file(&new)))
}

/// Removes the links of these classes that lead to a registration file.
fn remove_links(folder: &Path, classes: &[RegisteredClass], file: &Path) -> Result<()> {
    for class in classes {
        let link = folder.join(class.clsid.to_string());
        let leads_here =
            fs::read_link(&link).is_ok_and(|target| target.file_name() == file.file_name());
        if leads_here {
            fs::remove_file(&link).map_err(|error| cannot_be_removed(&link).because(error))?;
        }
    }
    Ok(())
}

fn cannot_be_removed(path: &Path) -> Error {
    Error::new(ErrorKind::System, format!("{} can't be removed", path.display()))
}

fn not_text(path: &Path) -> Error {
    let text = format!("{} can't be registered: its path isn't UTF-8", path.display());
    Error::new(ErrorKind::BadRegistration, text)
}

/// Reads a registration file. If no server may be started from it, also returns the reason.
fn read(path: &Path) -> Result<(RegistrationFile, Option<Error>)> {
    let bad = |what: String| {
        Error::new(ErrorKind::BadRegistration, format!("{}: {what}", path.display()))
    };
    let unreadable = |error| unreadable(path, error);
    // Checks the type before opening, because opening a FIFO would wait for a writer.
    if !FileStatus::at(path).map_err(unreadable)?.is_file() {
        return Err(bad("it is not a regular file".into()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let distrust = trust::check(path, &FileStatus::of(&file).map_err(unreadable)?).err();
    let mut text = String::with_capacity(FILE_BYTES_USUAL);
    let limit = Registration::FILE_BYTES_MAX;
    let len = file.take(limit + 1).read_to_string(&mut text);
    let len = len.map_err(unreadable)?;
    if len as u64 > limit {
        return Err(bad(format!("the file exceeds the limit of {limit} bytes")));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let parsed = parse(&name, text).map_err(|error| error.at(&path.display().to_string()))?;
    Ok((RegistrationFile { registration: parsed, path: path.to_owned() }, distrust))
}

/// Returns the registration if a server may be started from it, and otherwise the reason.
fn trusted((file, distrust): (RegistrationFile, Option<Error>)) -> Result<RegistrationFile> {
    distrust.map_or(Ok(file), Err)
}

/// Parses a registration. Caches the result, because each activation parses the same text again.
fn parse(name: &str, text: String) -> Result<Registration> {
    type CachedRegistration = (String, Registration);
    static LAST: PerProcess<Mutex<VecDeque<CachedRegistration>>> = PerProcess::new();
    let same = |cached: &&CachedRegistration| cached.0 == text && cached.1.name == name;
    if let Some((_, registration)) = LAST.lock().and_then(|last| last.iter().find(same).cloned()) {
        return Ok(registration);
    }
    let registration = Registration::parse(name, &text)?;
    if text.len() <= FILE_BYTES_USUAL {
        if let Some(mut last) = LAST.lock() {
            last.truncate(CACHED_MAX - 1);
            last.push_front((text, registration.clone()));
        }
    }
    Ok(registration)
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    trust::cannot_or(ErrorKind::BadRegistration, path, "read", cause)
}

/// Initial size of the read buffer in bytes. Most registrations fit.
const FILE_BYTES_USUAL: usize = 4096;

/// Maximum number of cached registrations. Few clients use the servers of more programs.
const CACHED_MAX: usize = 8;

fn system_dirs() -> Vec<PathBuf> {
    vec!["/usr/local/share".into(), "/usr/share".into()]
}
