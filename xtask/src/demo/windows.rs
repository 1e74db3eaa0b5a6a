//! The demo's environment on Windows: this user's registry, from which the sample is removed at the
//! end.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A temporary folder, removed at the end of the demo.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) programs: PathBuf,
}

impl Stage {
    pub(crate) fn new(programs: PathBuf) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("syshandle-demo-").tempdir()?;
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
            .env("SPARKLE_TIMELINE", self.timeline())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("{program}: {status}"))),
        }
    }

    /// Waits for the server's last step, after which it soon ends by itself.
    pub(crate) fn wait_for_server(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let notes = std::fs::read_to_string(self.timeline()).unwrap_or_default();
            if notes.contains(" server clean up") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the server has not cleaned up"))
    }
}
