//! The client of the sparkle sample. It writes to a file and lets the server finish the file.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sparkle::timeline::{Side, note};
use sparkle::{CLIENT_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::{Result, handle::Event};

fn main() -> ExitCode {
    let opened = std::env::args_os().nth(1).map_or_else(ask, |path| Ok(path.into())).and_then(open);
    let (path, file) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("sparkle-client: {error}");
            return ExitCode::FAILURE;
        }
    };
    match fill(&path, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sparkle-client: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Opens the file without truncating it, and creates it if necessary.
fn open(path: PathBuf) -> io::Result<(PathBuf, File)> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| {
        let text = format!("{} can't be opened to read and write: {error}", path.display());
        io::Error::new(error.kind(), text)
    })?;
    note(Side::Client, "create file handle");
    Ok((path, file))
}

/// Writes the client's lines, and lets the server finish the file.
fn fill(path: &Path, mut file: File) -> Result<()> {
    let ready = Event::new()?;
    note(Side::Client, "create event handle 1");

    let finisher = SparkleFinisherClient::activate(SPARKLE_FINISHER)?;
    note(Side::Client, "call server");
    let done = finisher.add_sparkle_finish_to_file(&file, &ready)?;
    note(Side::Client, "receive event handle 2");

    file.write_all(CLIENT_LINES.as_bytes())?;
    ready.set()?;
    note(Side::Client, "signal event handle 1");
    note(Side::Client, "wait for event handle 2");
    finisher.wait(&done)?;

    println!("Hooray, everything in {} is sparkly!", path.display());
    drop((file, ready, done, finisher));
    note(Side::Client, "clean up");
    Ok(())
}

/// Prompts for the name of the file.
fn ask() -> io::Result<PathBuf> {
    print!("Enter a file name: ");
    io::stdout().flush()?;
    let mut name = String::new();
    io::stdin().lock().read_line(&mut name)?;
    match name.trim() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidInput, "no file name was entered")),
        name => Ok(name.into()),
    }
}
