//! A broker and its worker. The worker has no right to open files, and asks the broker for them.
//!
//! `cargo run -p syshandle --example broker -- FILE...` prints the number of lines of each file.
//! The worker counts the lines in a bubblewrap sandbox, or without confinement if bubblewrap is not
//! installed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

#[cfg(not(windows))]
mod linux {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use syshandle::{Error, Result, interface};

    /// Gives the worker files to count.
    #[interface(iid = "9f0a0c0e-5d1b-4f5e-8f0a-6f8f3c1c2b01")]
    pub(crate) trait Files {
        /// Opens the next file; `None` after the last one.
        #[handle(file, read)]
        fn next(&self) -> Result<Option<File>>;

        /// Receives the number of lines of the last opened file.
        fn counted(&self, lines: u64) -> Result<()>;
    }

    /// The files that the user has named. The broker opens no others.
    struct Named(std::sync::Mutex<std::vec::IntoIter<String>>);

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

    /// Starts the worker with a door to the files as its standard input.
    pub(crate) fn broker(names: Vec<String>) -> Result<()> {
        let files = Named(std::sync::Mutex::new(names.into_iter()));
        let door = syshandle::direct::make_door::<dyn Files, _>(files)?;
        let program = std::env::current_exe()?;
        let mut command = if Path::new("/usr/bin/bwrap").exists() {
            let mut bwrap = Command::new("/usr/bin/bwrap");
            bwrap.args(["--unshare-all", "--die-with-parent", "--proc", "/proc"]);
            for folder in ["/usr", "/lib", "/lib64"] {
                bwrap.args(["--ro-bind-try", folder, folder]);
            }
            bwrap.arg("--ro-bind").arg(&program).args(["/worker", "--", "/worker"]);
            bwrap
        } else {
            eprintln!("bubblewrap isn't installed: the worker isn't confined");
            Command::new(program)
        };
        let status = command.arg("--worker").stdin(Stdio::from(door)).status()?;
        if status.success() { Ok(()) } else { Err(Error::failed(format!("the worker: {status}"))) }
    }

    /// Counts the lines of the files that the broker passes.
    pub(crate) fn worker() -> Result<()> {
        syshandle::direct::prepare()?;
        let door = std::io::stdin().as_fd().try_clone_to_owned()?;
        let files: FilesClient = syshandle::direct::from_door(door)?;
        // A worker that confines itself does so here.
        while let Some(mut file) = files.next()? {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            files.counted(bytes.iter().filter(|&&byte| byte == b'\n').count() as u64)?;
        }
        Ok(())
    }
}

#[cfg(not(windows))]
fn main() -> syshandle::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match names.first().map(String::as_str) {
        Some("--worker") => linux::worker(),
        None => {
            println!("usage: broker FILE...");
            println!(
                "prints how many lines each file has, counted by a worker that opens no files"
            );
            Ok(())
        }
        _ => linux::broker(names),
    }
}

#[cfg(windows)]
fn main() {}
