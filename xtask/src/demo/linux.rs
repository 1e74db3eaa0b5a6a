//! The demo's environment on Linux: a temporary registry.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A temporary registry, removed at the end of the demo.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) programs: PathBuf,
}

impl Stage {
    pub(crate) fn new(programs: PathBuf) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("syshandle-demo-").tempdir()?;
        fs::create_dir(folder.path().join("data"))?;
        fs::DirBuilder::new().mode(0o700).create(folder.path().join("runtime"))?;
        Ok(Self { folder, programs })
    }

    /// Returns the path of the file in which both programs note their steps.
    pub(crate) fn timeline(&self) -> PathBuf {
        self.folder.path().join("timeline")
    }

    /// Runs one of the programs in this environment.
    pub(crate) fn run(&self, program: &str, arguments: &[OsString]) -> io::Result<()> {
        let status = Command::new(self.programs.join(program))
            .args(arguments)
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.folder.path().join("runtime"))
            .env("SPARKLE_TIMELINE", self.timeline())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("{program}: {status}"))),
        }
    }

    /// Waits until the idle server has ended and removed its socket.
    pub(crate) fn wait_for_server(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let folder = self.folder.path().join("runtime/syshandle");
        let is_socket = |entry: fs::DirEntry| entry.path().extension() == Some("sock".as_ref());
        while Instant::now() < deadline {
            let serves =
                fs::read_dir(&folder).is_ok_and(|entries| entries.flatten().any(is_socket));
            if !serves {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the server has not ended"))
    }
}
