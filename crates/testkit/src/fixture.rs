//! The fixture of a test: its own folders, and the processes that use them.

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

/// Folders for registrations and sockets. Dropping the fixture ends all processes that use the
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

    /// Returns the folder for registrations, the `XDG_DATA_HOME` of this fixture.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Returns the folder for sockets, the `XDG_RUNTIME_DIR` of this fixture.
    pub fn runtime(&self) -> PathBuf {
        self.path().join("run")
    }

    /// Returns both folders for the library.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::from_environment();
        registry.data_home = Some(self.data());
        registry.data_dirs = vec![self.path().join("share")];
        registry.runtime_dir = Some(self.runtime());
        registry
    }

    /// Returns an activation that uses this fixture.
    pub fn activation(&self) -> Activation {
        Activation::new().registry(self.registry()).timeout(TEST_TIMEOUT)
    }

    /// Activates the server under test.
    pub fn activate(&self) -> syshandle::Result<TestServiceClient> {
        self.activation().activate(TEST_SERVICE.clsid())
    }

    /// Returns a command that runs a program in this fixture. Its environment contains only the
    /// folders of the fixture and `PATH`.
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

    /// Returns a registration of a program for one class, which the caller can change before it is
    /// written.
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

    /// Registers a program for a class, with environment variables for its servers.
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

    /// Returns the paths of a registered server's socket, lock and log.
    pub fn runtime_paths(&self, registered: &RegistrationFile) -> RuntimePaths {
        RuntimePaths::of(registered, &self.registry()).unwrap()
    }

    /// Creates a FIFO in this fixture.
    pub fn fifo(&self, name: &str) -> LineFifo {
        LineFifo::new(self.path().join(name))
    }

    /// Returns the other processes that have this fixture in their environment and run a program of
    /// this name.
    pub fn processes(&self, program: &str) -> Vec<Process> {
        self.all_processes().filter(|process| name_of(process.pid()) == program).collect()
    }

    fn all_processes(&self) -> impl Iterator<Item = Process> {
        let mark = format!("XDG_RUNTIME_DIR={}", self.runtime().display()).into_bytes();
        fs::read_dir("/proc").unwrap().flatten().filter_map(move |entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // The process is opened before its environment is read. If it still runs afterwards,
            // the environment is its own.
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
        // Repeats until no process is left, because a process may start others while it is being
        // killed.
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

/// Returns the file name of a process's program.
fn name_of(pid: u32) -> String {
    let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The server under test.
pub static SERVER: LazyLock<PathBuf> =
    LazyLock::new(|| ensure_built("syshandle-testkit", "testkit-server", ProgramKind::Example));

/// The client of the server under test.
pub static CLIENT: LazyLock<PathBuf> =
    LazyLock::new(|| ensure_built("syshandle-testkit", "testkit-client", ProgramKind::Example));

/// The confined worker of a broker.
pub static WORKER: LazyLock<PathBuf> =
    LazyLock::new(|| ensure_built("syshandle-testkit", "testkit-worker", ProgramKind::Example));

/// Copies a program with `cp`. If this process wrote the file, a child that another test starts at
/// that moment would inherit the open descriptor, and `execve` would fail with `ETXTBSY`.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("--").args([from, to]).status().unwrap().success());
}

/// Returns the path of a program of another package of this workspace.
pub fn program(package: &str, name: &str) -> PathBuf {
    ensure_built(package, name, ProgramKind::Program)
}

/// Returns the path of an example of another package of this workspace.
pub fn example(package: &str, name: &str) -> PathBuf {
    ensure_built(package, name, ProgramKind::Example)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProgramKind {
    Program,
    Example,
}

/// Returns a program in the target folder of the running test. Builds the program if it is missing,
/// for example if a single test is run.
fn ensure_built(package: &str, name: &str, kind: ProgramKind) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // The path of this test is similar to `target/debug/deps/test-0123`.
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
