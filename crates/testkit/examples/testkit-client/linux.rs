//! The client for the tests. Activates the server, calls `peer_ids`, and prints the result.
//!
//! `testkit-client [--timeout-ms N] [--confine WHAT] [--leave-work FILE] [--hold] [--fork] [--call
//! NAME]` prints the process ID of the server, and the process IDs and the user ID that the server
//! reports. On an error, it prints the kind and all causes. `--call` makes an additional call:
//! `abort`, `hang`, or `echo`, which passes handles to the server and back.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "prints its results")]

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use crate::confine;
use syshandle::{Activation, Error, Result, handle::Event};
use syshandle_testkit::{TEST_SERVICE, TestServiceClient};

pub(crate) fn main() -> ExitCode {
    let mut activation = Activation::new();
    let (mut work, mut hold, mut fork, mut call) = (None, false, false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--timeout-ms" => {
                let timeout = value().parse().unwrap_or_default();
                activation = activation.timeout(Duration::from_millis(timeout));
            }
            "--confine" => {
                if let Err(error) = confine::confine(&value()) {
                    eprintln!("can't be confined: {error}");
                    return ExitCode::from(77);
                }
            }
            "--leave-work" => work = Some(value()),
            "--hold" => hold = true,
            "--fork" => fork = true,
            "--call" => call = Some(value()),
            other => {
                eprintln!("unknown argument {other}");
                return ExitCode::from(2);
            }
        }
    }
    match ask(&activation, work.as_deref(), call.as_deref(), hold, fork) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{:?}: {error:#}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn ask(
    activation: &Activation,
    work: Option<&str>,
    call: Option<&str>,
    hold: bool,
    fork: bool,
) -> Result<()> {
    let client: TestServiceClient = activation.activate(TEST_SERVICE.clsid())?;
    let server = syshandle::object::Proxy::as_client(&client).server()?;
    let ids = client.peer_ids()?;
    // This process keeps the event without ever setting it.
    let event = Event::new()?;
    let held = match work {
        Some(path) => {
            let file = File::options().write(true).open(path)?;
            client.write_outcome(&file, &event)?;
            // Releases the object while its background task is waiting.
            drop(client);
            None
        }
        None => Some(client),
    };
    println!("{} {} {} {}", server.pid, ids.server_pid, ids.client_pid, ids.client_uid);
    std::io::stdout().flush()?;
    if let (Some(client), Some(call)) = (&held, call) {
        make(client, call)?;
    }
    if fork {
        // The child keeps the connection open.
        syshandle_testkit::leave_child();
        std::process::abort();
    }
    if hold {
        // Waits until the test closes the standard input.
        let _ = std::io::read_to_string(std::io::stdin());
    }
    drop((held, event));
    Ok(())
}

/// Makes the additional call with this name.
fn make(client: &TestServiceClient, call: &str) -> Result<()> {
    match call {
        "abort" => client.abort(),
        "hang" => client.hang(),
        "echo" => echo(client),
        other => Err(Error::failed(format!("no call is named {other}"))),
    }
}

/// Passes handles to the server. The server returns one of them.
fn echo(client: &TestServiceClient) -> Result<()> {
    let own = File::open(std::env::current_exe()?)?;
    let event = Event::new()?;
    let (back, _) = client.echo(&event.try_clone()?.into(), "text")?;
    Event::from(back).set()?;
    let len = client.len(&own)?;
    let text = format!("{} {len}", event.wait_timeout(Duration::ZERO)?);
    match text == format!("true {}", own.metadata()?.len()) {
        true => Ok(()),
        false => Err(Error::failed(text)),
    }
}
