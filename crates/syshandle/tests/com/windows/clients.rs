//! Clients in separate processes.

use std::fs::File;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use syshandle::{Activation, handle::Event};

use super::forged;
use super::interface::{BEREFT, CROWDED, EverythingClient};
use super::serving;

/// Starts this program as a client.
pub(crate) fn start(words: &[&str]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("client").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Timeout of a test with many clients. Under Wine, an activation on a busy machine sometimes hangs
/// for ten seconds, and all other clients wait for it.
const CROWD_PATIENCE: Duration = Duration::from_secs(120);

/// Runs a client, and prints its results.
#[expect(clippy::print_stdout, reason = "a test reads it")]
pub(crate) fn main(words: &[&str]) -> ExitCode {
    match words {
        ["who"] => {
            let activation = Activation::new().timeout(CROWD_PATIENCE);
            let client: EverythingClient = activation.activate(CROWDED.clsid()).unwrap();
            println!("{}", client.who().unwrap().server_pid);
        }
        ["wait", path] => {
            let client = EverythingClient::activate(BEREFT).unwrap();
            let file = File::create(path).unwrap();
            client.write_outcome(&file, &Event::new().unwrap()).unwrap();
            println!("{}", client.who().unwrap().server_pid);
            loop {
                std::thread::park();
            }
        }
        ["add", class] => println!("{}", serving::add(class.parse().unwrap())),
        // This client runs until the test closes its standard input.
        ["stay"] => drop(std::io::read_to_string(std::io::stdin())),
        ["forge", number, kind] => println!("{}", forged::attack(number.parse().unwrap(), kind)),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}
