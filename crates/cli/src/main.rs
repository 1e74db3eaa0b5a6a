//! The `syshandle` command.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that talks to people")]

mod idl;

// What each platform owes: how servers are registered there.
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
        mod clean;
        mod list;
        mod programs;
        mod register;
        mod systemd;
    }
}

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Method calls between processes that carry kernel objects.
#[derive(Parser)]
#[command(name = "syshandle", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Register the servers in a folder, or one program, for this user
    Register(register::Arguments),
    /// Show the registered classes, where they are registered, and whether their servers run
    List,
    /// Remove the registrations of the programs in a folder, or of one program
    Clean(clean::Arguments),
    /// Attack a server of yours with hostile clients, and show how it answers
    #[cfg(not(windows))]
    Attack(attack::Arguments),
    /// Check .idl files, and make Rust of them
    #[command(subcommand)]
    Idl(idl::Command),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Register(arguments) => register::run(&arguments),
        Command::List => list::run(),
        Command::Clean(arguments) => clean::run(&arguments),
        #[cfg(not(windows))]
        Command::Attack(arguments) => attack::run(&arguments),
        Command::Idl(command) => idl::run(&command),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("syshandle: {error:#}");
            ExitCode::FAILURE
        }
    }
}
