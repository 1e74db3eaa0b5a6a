//! The client that is tried: activates the server, asks who it is, and says so.
//!
//! `trial-client [--timeout-ms N] [--confine WHAT] [--hold]`: prints the server's process and what
//! it says of this one; on an error its kind and all causes, a line each.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

mod confine;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use syshandle::{Activation, Result};
use syshandle_trial::{TRIAL, TrialClient};

fn main() -> ExitCode {
    let mut activation = Activation::new();
    let mut hold = false;
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
            "--hold" => hold = true,
            other => {
                eprintln!("what is {other}?");
                return ExitCode::from(2);
            }
        }
    }
    match ask(&activation, hold) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{:?}: {error:#}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn ask(activation: &Activation, hold: bool) -> Result<()> {
    let client: TrialClient = activation.activate(TRIAL.clsid())?;
    let server = syshandle::Proxy::as_client(&client).server()?;
    let who = client.who()?;
    println!("{} {} {} {}", server.pid, who.server_pid, who.client_pid, who.client_uid);
    std::io::stdout().flush()?;
    if hold {
        // Until the test lets go.
        let _ = std::io::read_to_string(std::io::stdin());
    }
    Ok(())
}
