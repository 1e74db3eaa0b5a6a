//! A broker and its worker. The worker has no right to open files, and asks the broker for them.
//!
//! `cargo run --example confined_worker -- FILE...` prints the number of lines of each file, which
//! the worker counts in a bubblewrap sandbox (or without one if `/usr/bin/bwrap` doesn't exist).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]
#![cfg_attr(windows, expect(dead_code, reason = "`direct` exists on Linux only"))]

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use syshandle::{Error, Result, interface};

/// Gives the worker files to count.
#[interface(iid = "9f0a0c0e-5d1b-4f5e-8f0a-6f8f3c1c2b01")]
trait Files {
    /// Opens the next file; `None` after the last one.
    #[handle(file, read)]
    fn next(&self) -> Result<Option<File>>;

    /// Receives the number of lines of the last opened file.
    fn counted(&self, lines: u64) -> Result<()>;
}

/// The files that the user has named. The broker opens no other files.
struct Named(Mutex<std::vec::IntoIter<String>>);

impl Files for Named {
    fn next(&self) -> Result<Option<File>> {
        let mut names = self.0.lock().map_err(|_| Error::failed("an earlier call panicked"))?;
        Ok(names.next().map(File::open).transpose()?)
    }

    fn counted(&self, lines: u64) -> Result<()> {
        println!("{lines} lines");
        Ok(())
    }
}

/// Returns a command that runs a program in an empty sandbox.
fn confined(program: &Path) -> Command {
    if !Path::new("/usr/bin/bwrap").exists() {
        eprintln!("bubblewrap isn't installed: the worker isn't confined");
        return Command::new(program);
    }
    let mut bwrap = Command::new("/usr/bin/bwrap");
    bwrap.args(["--unshare-all", "--die-with-parent", "--proc", "/proc"]);
    for folder in ["/usr", "/lib", "/lib64"] {
        bwrap.args(["--ro-bind-try", folder, folder]);
    }
    bwrap.arg("--ro-bind").arg(program).args(["/worker", "--", "/worker"]);
    bwrap
}

#[cfg(not(windows))]
fn main() -> Result<()> {
    use std::{io, os::fd::AsFd, process::Stdio};

    use syshandle::direct;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "--worker") {
        direct::prepare()?;
        let files: FilesClient = direct::from_door(io::stdin().as_fd().try_clone_to_owned()?)?;
        // A worker that confines itself would do so here, before it receives the first file.
        while let Some(file) = files.next()? {
            files.counted(io::read_to_string(file)?.lines().count() as u64)?;
        }
        return Ok(());
    }
    // The worker's standard input is a door to an object of the broker.
    let door = direct::make_door::<dyn Files, _>(Named(Mutex::new(arguments.into_iter())))?;
    let program = std::env::current_exe()?;
    let status = confined(&program).arg("--worker").stdin(Stdio::from(door)).status()?;
    if status.success() { Ok(()) } else { Err(Error::failed(format!("the worker: {status}"))) }
}

#[cfg(windows)]
fn main() {}
