//! The `syshandle` command.

#![forbid(unsafe_code)]

mod idl;
mod output;
mod paths;

// The platform's part: registering servers.
cfg_if::cfg_if! {
    if #[cfg(windows)] {
        #[path = "windows/clean.rs"]
        mod clean;
        #[path = "windows/list.rs"]
        mod list;
        #[path = "windows/programs.rs"]
        mod programs;
        #[path = "windows/register.rs"]
        mod register;
    } else {
        mod attack;
        mod class;
        mod clean;
        mod list;
        mod log;
        mod programs;
        mod register;
        mod stop;
        mod systemd;
        mod target;
    }
}

use std::env;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use syshandle::Printable;

use crate::output::{errln, write_err, write_out};

/// Method calls between processes that carry kernel objects.
#[derive(Parser)]
#[command(name = "syshandle", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Register servers, or all servers in a folder
    Register(register::Arguments),
    /// Show the registered classes, the location of each registration, and whether its server runs
    List,
    /// Remove the registrations of servers, or of all servers in a folder
    Clean(clean::Arguments),
    /// End the servers of a class; the next client starts a new one
    #[cfg(not(windows))]
    Stop(stop::Arguments),
    /// Show the output of a class's server
    #[cfg(not(windows))]
    Log(log::Arguments),
    /// Attack your own server with hostile clients, and report its reactions
    #[cfg(not(windows))]
    Attack(attack::Arguments),
    /// Check .idl files, and convert them to Rust
    #[command(subcommand)]
    Idl(idl::Command),
}

fn main() -> ExitCode {
    let code = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        Err(error) => unparsed(&error),
    };
    output::exit_code(code)
}

fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Register(arguments) => register::run(&arguments),
        Command::List => list::run(),
        Command::Clean(arguments) => clean::run(&arguments),
        #[cfg(not(windows))]
        Command::Stop(arguments) => stop::run(&arguments),
        #[cfg(not(windows))]
        Command::Log(arguments) => log::run(&arguments),
        #[cfg(not(windows))]
        Command::Attack(arguments) => attack::run(&arguments),
        Command::Idl(command) => idl::run(&command),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            errln!("syshandle: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the requested help or version, or the error of the arguments.
fn unparsed(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        write_out(format_args!("{}", error.render()));
        return ExitCode::SUCCESS;
    }
    // The message quotes arguments, which may be file names chosen by another user.
    let arguments = env::args_os().map(|argument| Printable(argument.display()).to_string());
    let printable = Arguments::try_parse_from(arguments).err();
    write_err(format_args!("{}", printable.as_ref().unwrap_or(error).render()));
    ExitCode::from(2)
}
