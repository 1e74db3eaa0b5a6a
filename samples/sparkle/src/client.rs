//! The client of the sparkle sample: fills a file and has the server finish it.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use sparkle::timeline::{Side, note};
use sparkle::{CLIENT_LINES, SPARKLE_FINISHER, SparkleFinisherClient};
use syshandle::{Event, Result};

fn main() -> Result<()> {
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => ask()?,
    };
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    note(Side::Client, "create file handle");
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

/// Asks for the name of the file.
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
