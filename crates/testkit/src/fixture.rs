//! The fixture of a test, which has its own folders and ends the processes that use them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use syshandle::{
    Activation,
    object::{Class, ClassInfo},
};
use syshandle_registry::{
    Policy, RegisteredClass, Registration, RegistrationFile, Registry, RuntimePaths,
};
use tempfile::TempDir;

use crate::{LineFifo, Process, TEST_SERVICE, TEST_TIMEOUT, TestServiceClient};

/// Folders for registrations and sockets. Dropping the fixture kills all processes that use the
/// folders, and removes the folders.
#[derive(Debug)]
pub struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// Creates a fixture.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("testkit").tempdir().unwrap();
        let fixture = Self { folder };
        for folder in [fixture.data(), fixture.runtime()] {
            DirBuilder::new().mode(0o700).create(folder).unwrap();
        }
        fixture
    }

    /// Returns the folder that contains all others.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder for registrations, which is the `XDG_DATA_HOME` of this fixture.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Returns the folder for sockets, which is the `XDG_RUNTIME_DIR` of this fixture.
    pub fn runtime(&self) -> PathBuf {
        self.path().join("run")
    }

    /// Returns a registry that consists of both folders.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::from_environment();
        registry.data_home = Some(self.data());
        registry.data_dirs = vec![self.path().join("share")];
        registry.runtime_dir = Some(self.runtime());
        registry
    }

    /// Returns an activation that uses the folders of this fixture.
    pub fn activation(&self) -> Activation {
        Activation::new().registry(self.registry()).timeout(TEST_TIMEOUT)
    }

    /// Activates the server under test.
    ///
    /// # Errors
    /// The errors of activation.
    pub fn activate(&self) -> syshandle::Result<TestServiceClient> {
        self.activation().activate(TEST_SERVICE.clsid())
    }

    /// Returns a command that runs a program with the folders of this fixture. Its environment
    /// contains only these folders and `PATH`.
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

    /// Returns a registration of a program for one class. The caller can change it before writing
    /// it.
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

    /// Registers a program for a class, with environment variables for its server.
    pub fn register<C: ClassInfo>(
        &self,
        program: &Path,
        class: Class<C>,
        environment: &[(&str, &str)],
    ) -> RegistrationFile {
        let mut registration = self.registration(program, class);
        let variables = environment.iter();
        registration.environment =
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.register_as(&registration)
    }

    /// Writes a registration.
    pub fn register_as(&self, registration: &Registration) -> RegistrationFile {
        self.registry().register(registration).unwrap();
        self.registry().find(registration.classes[0].clsid).unwrap()
    }

    /// Returns the paths of the server's socket, lock and log.
    pub fn runtime_paths(&self, registered: &RegistrationFile) -> RuntimePaths {
        RuntimePaths::of(registered, &self.registry()).unwrap()
    }

    /// Creates a FIFO in this fixture.
    pub fn fifo(&self, name: &str) -> LineFifo {
        LineFifo::new(self.path().join(name))
    }

    /// Returns the other processes that run a program with this name and have this fixture in their
    /// environment.
    pub fn processes(&self, program: &str) -> Vec<Process> {
        self.all_processes().filter(|process| name_of(process.pid()) == program).collect()
    }

    fn all_processes(&self) -> impl Iterator<Item = Process> {
        let mark = format!("XDG_RUNTIME_DIR={}", self.runtime().display()).into_bytes();
        fs::read_dir("/proc").unwrap().flatten().filter_map(move |entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // Opens the process before reading its environment. If the process still runs
            // afterwards, the environment was its own.
            let process = Process::open(pid)?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let here = environment.split(|&byte| byte == 0).any(|variable| variable == mark);
            (here && pid != std::process::id() && !process.has_ended()).then_some(process)
        })
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Repeats until no process is left, because a process may start others before it is killed.
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

/// Returns the file name of the program that a process runs.
fn name_of(pid: u32) -> String {
    let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Path of the server under test.
pub static SERVER: LazyLock<PathBuf> =
    LazyLock::new(|| ensure_built("syshandle-testkit", "testkit-server", ProgramKind::Example));

/// Path of the client for the server under test.
pub static CLIENT: LazyLock<PathBuf> =
    LazyLock::new(|| ensure_built("syshandle-testkit", "testkit-client", ProgramKind::Example));

/// Path of the confined worker of a broker.
pub static WORKER: LazyLock<PathBuf> =
    LazyLock::new(|| ensure_built("syshandle-testkit", "testkit-worker", ProgramKind::Example));

/// Copies a program with `cp`. If this process wrote the file itself, a child that another test
/// starts at the same time could inherit the writable descriptor. Then `execve` of the copy would
/// fail with `ETXTBSY`.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("--").args([from, to]).status().unwrap().success());
}

/// Returns the path of a program from another package in this workspace.
pub fn program(package: &str, name: &str) -> PathBuf {
    ensure_built(package, name, ProgramKind::Program)
}

/// Returns the path of an example from another package in this workspace.
pub fn example(package: &str, name: &str) -> PathBuf {
    ensure_built(package, name, ProgramKind::Example)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProgramKind {
    Program,
    Example,
}

/// Returns the path of a program in the target folder of the running test. Builds the program if it
/// is missing, for example if only one test is run.
fn ensure_built(package: &str, name: &str, kind: ProgramKind) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // The running test has a path like `target/debug/deps/test-0123`.
    let mut folder = own.parent().unwrap().parent().unwrap().to_owned();
    let is_example = kind == ProgramKind::Example;
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
