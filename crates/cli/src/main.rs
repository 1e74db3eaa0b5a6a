//! The `syshandle` command.

#![forbid(unsafe_code)]

mod arguments;
mod generate;
mod idl;
mod output;
mod programs;
mod sys;

use std::env;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use syshandle_types::Printable;

use crate::arguments::{CleanArguments, RegisterArguments};
use crate::generate::{CompletionsArguments, ManArguments};
use crate::output::{errln, write_err, write_out};

/// Method calls between processes that carry kernel objects.
#[derive(Parser)]
#[command(name = "syshandle", version, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Register servers, or all servers in a folder
    Register(RegisterArguments),
    /// Show the registered classes, the location of each registration, and whether its server runs
    List,
    /// Remove the registrations of servers, or of all servers in a folder
    Clean(CleanArguments),
    /// End the running servers of a class; the next client starts a new one
    #[cfg(not(windows))]
    Stop(sys::stop::StopArguments),
    /// Show the output of a class's server
    #[cfg(not(windows))]
    Log(sys::log::LogArguments),
    /// Attack your own server with hostile clients, and report its reactions
    #[cfg(not(windows))]
    Attack(sys::attack::AttackArguments),
    /// Check .idl files, and convert them to Rust
    #[command(subcommand)]
    Idl(idl::IdlCommand),
    /// Print the completions of this command for a shell
    Completions(CompletionsArguments),
    /// Write the manual pages of this command to a folder
    Man(ManArguments),
}

fn main() -> ExitCode {
    let code = match CommandLine::try_parse() {
        Ok(arguments) => run(arguments.command),
        Err(error) => unparsed(&error),
    };
    output::exit_code(code)
}

fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Register(arguments) => sys::register::run(&arguments),
        Command::List => sys::list::run(),
        Command::Clean(arguments) => sys::clean::run(&arguments),
        #[cfg(not(windows))]
        Command::Stop(arguments) => sys::stop::run(&arguments),
        #[cfg(not(windows))]
        Command::Log(arguments) => sys::log::run(&arguments),
        #[cfg(not(windows))]
        Command::Attack(arguments) => sys::attack::run(&arguments),
        Command::Idl(command) => idl::run(&command),
        Command::Completions(arguments) => {
            Ok(generate::completions(&arguments, CommandLine::command()))
        }
        Command::Man(arguments) => generate::man(&arguments, CommandLine::command()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            errln!("syshandle: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the requested help or version, or the error in the arguments.
fn unparsed(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        write_out(format_args!("{}", error.render()));
        return ExitCode::SUCCESS;
    }
    // The message quotes the arguments. They may be file names that another user has chosen.
    let arguments =
        env::args_os().map(|argument| Printable(argument.to_string_lossy()).to_string());
    let printable = CommandLine::try_parse_from(arguments).err();
    write_err(format_args!("{}", printable.as_ref().unwrap_or(error).render()));
    ExitCode::from(2)
}
