//! Runs the tests, or the server or client that a test needs.
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

#[cfg(feature = "tokio")]
#[path = "windows/asynchronous.rs"]
mod asynchronous;
#[path = "windows/clients.rs"]
mod clients;
#[path = "windows/death.rs"]
mod death;
#[path = "windows/error_kinds.rs"]
mod error_kinds;
#[path = "windows/errors.rs"]
mod errors;
#[path = "windows/forged.rs"]
mod forged;
#[path = "windows/interface.rs"]
mod interface;
#[path = "windows/kinds.rs"]
mod kinds;
#[path = "windows/layouts.rs"]
mod layouts;
#[path = "windows/place.rs"]
mod place;
#[path = "windows/reentrancy.rs"]
mod reentrancy;
#[path = "windows/references.rs"]
mod references;
#[path = "windows/server.rs"]
mod server;
#[path = "windows/serving.rs"]
mod serving;
#[path = "windows/values.rs"]
mod values;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// The name of a test and its function.
type Test = (&'static str, fn());

/// Runs as a server, as a client, or as the test runner, depending on the arguments.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", class, ..] => server::main(class),
        ["client", what @ ..] => clients::main(what),
        _ => tests(),
    }
}

fn tests() -> ExitCode {
    let tests = [
        kinds::TESTS,
        values::TESTS,
        layouts::TESTS,
        references::TESTS,
        errors::TESTS,
        error_kinds::TESTS,
        reentrancy::TESTS,
        death::TESTS,
        serving::TESTS,
        forged::TESTS,
        #[cfg(feature = "tokio")]
        asynchronous::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    place::register();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    place::clean();
    conclusion.exit_code()
}
