//! A place for a test: folders of its own, and no process left in it afterwards.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use syshandle::{
    Activation, Class, ClassInfo, Locations, Policy, Registered, RegisteredClass, Registration,
};
use tempfile::TempDir;

use crate::{Notes, PATIENCE, Process, TRIAL, TrialClient};

/// Folders for registrations and for sockets, which are removed with all processes that use them.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("trial").tempdir().unwrap();
        let place = Self { folder };
        for folder in [place.data(), place.runtime()] {
            DirBuilder::new().mode(0o700).create(folder).unwrap();
        }
        place
    }

    /// The folder of it all.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Stands for `XDG_DATA_HOME`.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Stands for `XDG_RUNTIME_DIR`.
    pub fn runtime(&self) -> PathBuf {
        self.path().join("run")
    }

    /// The same for the library.
    pub fn locations(&self) -> Locations {
        let mut locations = Locations::from_environment();
        locations.data_home = Some(self.data());
        locations.data_dirs = vec![self.path().join("share")];
        locations.runtime_dir = Some(self.runtime());
        locations
    }

    /// Activation here.
    pub fn activation(&self) -> Activation {
        Activation::new().locations(self.locations()).timeout(PATIENCE)
    }

    /// A client of the server that is tried.
    pub fn activate(&self) -> syshandle::Result<TrialClient> {
        self.activation().activate(TRIAL.clsid())
    }

    /// Runs a program here, with nothing else in its environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("XDG_DATA_HOME", self.data())
            .env("XDG_DATA_DIRS", self.path().join("share"))
            .env("XDG_RUNTIME_DIR", self.runtime());
        command
    }

    /// A registration of a program for one class, to be changed and written.
    pub fn registration<C: ClassInfo>(&self, program: &Path, class: Class<C>) -> Registration {
        let class = RegisteredClass {
            clsid: class.clsid(),
            name: class.name().into(),
            interfaces: class.interfaces().iter().map(|interface| interface.iid).collect(),
        };
        Registration {
            name: program.file_name().unwrap().to_string_lossy().into_owned(),
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            socket: None,
            policy: Policy::same_user(),
            start_timeout: Duration::from_secs(30),
            classes: vec![class],
        }
    }

    /// Registers a program for a class, with these variables in the environment of its servers.
    pub fn register<C: ClassInfo>(
        &self,
        program: &Path,
        class: Class<C>,
        environment: &[(&str, &str)],
    ) -> Registered {
        let mut registration = self.registration(program, class);
        let variables = environment.iter();
        registration.environment =
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.register_as(&registration)
    }

    /// Registers a program as this says.
    pub fn register_as(&self, registration: &Registration) -> Registered {
        self.locations().register(registration).unwrap();
        self.locations().find(registration.classes[0].clsid).unwrap()
    }

    /// A place for notes.
    pub fn notes(&self, name: &str) -> Notes {
        Notes::new(self.path().join(name))
    }

    /// Returns the other processes that have this place in their environment and run a program of
    /// this name.
    pub fn processes(&self, program: &str) -> Vec<Process> {
        self.all_processes().filter(|process| name_of(process.pid()) == program).collect()
    }

    fn all_processes(&self) -> impl Iterator<Item = Process> {
        let mark = format!("XDG_RUNTIME_DIR={}", self.runtime().display()).into_bytes();
        fs::read_dir("/proc").unwrap().flatten().filter_map(move |entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // Opened first, so that what is read is this process's, if it still runs after that.
            let process = Process::open(pid)?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let here = environment.split(|&byte| byte == 0).any(|variable| variable == mark);
            (here && pid != std::process::id() && !process.has_ended()).then_some(process)
        })
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Until there is none: one that was being started may have started others.
        loop {
            let left: Vec<_> = self.all_processes().collect();
            if left.is_empty() {
                return;
            }
            for process in left {
                process.kill();
                process.wait();
            }
        }
    }
}

/// The program of a process, by its file's name.
fn name_of(pid: u32) -> String {
    let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The server that is tried.
pub static SERVER: LazyLock<PathBuf> =
    LazyLock::new(|| built("syshandle-trial", "trial-server", Sort::Example));

/// Its client.
pub static CLIENT: LazyLock<PathBuf> =
    LazyLock::new(|| built("syshandle-trial", "trial-client", Sort::Example));

/// The confined worker of a broker.
pub static WORKER: LazyLock<PathBuf> =
    LazyLock::new(|| built("syshandle-trial", "trial-worker", Sort::Example));

/// Copies a program, by another process. If this process wrote the file, a child that another test
/// starts at that moment would inherit the open descriptor, and `execve` would fail with `ETXTBSY`.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("--").args([from, to]).status().unwrap().success());
}

/// A program of another package of this workspace.
pub fn program(package: &str, name: &str) -> PathBuf {
    built(package, name, Sort::Program)
}

/// An example of another package of this workspace.
pub fn example(package: &str, name: &str) -> PathBuf {
    built(package, name, Sort::Example)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Program,
    Example,
}

/// A program in the target folder that the test's own is in. Built if it isn't there, as when a
/// single test is run.
fn built(package: &str, name: &str, sort: Sort) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/test-0123.
    let mut folder = own.parent().unwrap().parent().unwrap().to_owned();
    let is_example = sort == Sort::Example;
    let target = folder.parent().unwrap().to_owned();
    let release = folder.ends_with("release");
    if is_example {
        folder.push("examples");
    }
    let path = folder.join(name);
    if !path.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", package]);
        build.arg(if is_example { "--example" } else { "--bin" }).arg(name);
        build.arg("--target-dir").arg(target);
        if release {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "{name} can't be built");
    }
    path
}
