//! A broker's worker, which is started as `testkit-worker HOW...`.
//!
//! The standard input is a door to the broker. With `socket`, it is a connection to the broker, and
//! with `serve`, a connection on which this program is the server. By default, the worker calls
//! `prepare` and connects before it confines itself. With `late`, it connects afterwards, and with
//! `unprepared`, it also does not call `prepare`. With `stopped`, it is stopped during a call. Each
//! other argument names a way of confinement.

#![expect(clippy::print_stderr, reason = "prints its results")]

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use crate::sandbox;
use syshandle::{
    Result, Server,
    handle::{Event, KernelObject, OwnedHandle},
};
use syshandle_testkit::{BROKER, BrokerClient, BrokerObject};

pub(crate) fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let result = match has("serve") {
        true => serve(&words),
        false => work(&words, has("socket")),
    };
    match result {
        // Skips destructors, because they may make system calls that the calls of a client don't
        // need.
        Ok(()) => sandbox::exit(0),
        Err(error) => {
            eprintln!("{:?}: {error:#}", error.kind());
            sandbox::exit(1)
        }
    }
}

fn connect(is_socket: bool) -> Result<BrokerClient> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    match is_socket {
        true => syshandle::direct::from_socket(socket),
        false => syshandle::direct::from_door(socket),
    }
}

fn confine(words: &[String]) -> Result<()> {
    for word in words {
        if !matches!(&**word, "socket" | "serve" | "late" | "unprepared" | "stopped") {
            sandbox::confine(word).inspect_err(|error| {
                // The test prints this reason for skipping.
                eprintln!("can't be confined by {word}: {error}");
                sandbox::exit(77);
            })?;
        }
    }
    Ok(())
}

fn work(words: &[String], is_socket: bool) -> Result<()> {
    let has = |word: &str| words.iter().any(|other| other == word);
    if !has("unprepared") {
        syshandle::direct::prepare()?;
    }
    let is_late = has("late") || has("unprepared");
    let before = (!is_late).then(|| connect(is_socket)).transpose()?;
    confine(words)?;
    let broker = match before {
        Some(broker) => broker,
        None => connect(is_socket)?,
    };
    let mut found = Vec::new();
    broker.event()?.set()?;
    found.push("event");
    broker.semaphore()?;
    found.push("semaphore");
    let mut text = [0; 5];
    std::io::Read::read_exact(&mut broker.file()?, &mut text)?;
    assert_eq!(&text, b"hello");
    found.push("file");
    broker.directory()?;
    found.push("directory");
    broker.pipe()?;
    found.push("pipe");
    let mut byte = [0];
    broker.section()?.read(0, &mut byte)?;
    found.push("section");
    broker.process()?;
    found.push("process");
    broker.timer()?;
    found.push("timer");
    let bytes = vec![7; 300_000];
    assert_eq!(broker.bytes(&bytes)?, bytes);
    found.push("bytes");
    let event = Event::new()?;
    broker.set(&event)?;
    assert!(event.wait_timeout(Duration::from_secs(60))?);
    found.push("set");
    // Receives many handles at once, so that descriptor numbers are used that were never examined
    // before.
    let kept: Vec<OwnedHandle> = (0..200).map(|which| broker.any(which)).collect::<Result<_>>()?;
    for (which, handle) in kept.iter().enumerate() {
        let object = syshandle::handle::identify(handle.as_fd())?.object;
        let wanted = match which % 3 {
            0 => KernelObject::Pipe,
            1 => KernelObject::Event,
            _ => KernelObject::RegularFile,
        };
        assert_eq!(object, wanted);
    }
    found.push("many");
    // Connects through a reference that the worker receives.
    broker.another()?.event()?;
    found.push("reference");
    if has("stopped") {
        broker.stop_caller()?;
    }
    found.push(if broker.caller()? == std::process::id() { "caller" } else { "another caller" });
    broker.report(&found.join(" "))
}

/// Confines this process, and then runs a server on the socket. Before that, `prepare` opens the
/// files for examining handles.
fn serve(words: &[String]) -> Result<()> {
    syshandle::direct::prepare()?;
    confine(words)?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    Server::new().class(BROKER, BrokerObject::default).socket(socket).run()
}
