//! Command line arguments of the commands that exist on every platform.

use std::path::PathBuf;

#[cfg(not(windows))]
use syshandle_registry::Policy;

/// The folders and programs on which a command operates.
#[derive(clap::Args)]
pub(crate) struct PathArguments {
    /// Programs, or folders with servers' programs; by default, the current folder
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Alias of PATH
    #[arg(long = "path", value_name = "PATH", hide = true)]
    named: Vec<PathBuf>,
}

impl PathArguments {
    /// Returns the paths from both forms of the argument.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let all: Vec<_> = self.paths.iter().chain(&self.named).cloned().collect();
        if all.is_empty() { vec![".".into()] } else { all }
    }
}

/// The users and the machine for which a command registers.
#[cfg(not(windows))]
#[derive(clap::Args)]
pub(crate) struct Scope {
    /// Register for all users of this machine: write to /usr/local/share, and units to
    /// /etc/systemd/system
    #[arg(long)]
    pub(crate) system: bool,
    /// Register for all users of another machine: write the files of a package to DIR, as they are
    /// to be installed later (in /usr/share, and units in /usr/lib/systemd/system)
    #[arg(long, value_name = "DIR")]
    pub(crate) destdir: Option<PathBuf>,
}

/// Arguments of `syshandle register`.
#[derive(clap::Args)]
pub(crate) struct RegisterArguments {
    #[command(flatten)]
    pub(crate) paths: PathArguments,
    #[cfg(not(windows))]
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Also write systemd units that start the servers: for the user manager, or for the system
    /// manager with --system or --destdir
    #[cfg(not(windows))]
    #[arg(long)]
    pub(crate) systemd: bool,
    #[command(flatten)]
    pub(crate) options: RegistrationOptions,
    /// Start from the defaults, and discard the values of an earlier registration of the same
    /// program
    #[cfg(not(windows))]
    #[arg(long)]
    pub(crate) defaults: bool,
    /// Also register the proxy DLLs in the folder, through which programs without syshandle call
    /// and serve the interfaces
    #[cfg(windows)]
    #[arg(long)]
    pub(crate) proxy: bool,
}

/// Values of the registration. If an option is absent, the value of an earlier registration is
/// kept.
#[derive(clap::Args)]
pub(crate) struct RegistrationOptions {
    /// An environment variable for the servers
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) environment: Vec<(String, String)>,
    /// An argument for the servers; repeat the option to pass several, in order
    #[cfg(not(windows))]
    #[arg(long = "argument", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
    /// The users that may connect: `same` (the server's user), `anyone`, or user IDs. Other users
    /// can connect only to servers that are registered with --system, or through a --socket in a
    /// folder that they can enter
    #[cfg(not(windows))]
    #[arg(long, value_name = "USERS", value_parser = users)]
    pub(crate) users: Option<Policy>,
    /// The maximum time from the start of a server until it answers its first client
    #[cfg(not(windows))]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) start_timeout_ms: Option<u32>,
    /// The socket of another program, which listens on it and starts the server
    #[cfg(not(windows))]
    #[arg(long, value_name = "SOCKET", conflicts_with = "systemd")]
    pub(crate) socket: Option<PathBuf>,
}

/// The registrations to remove. The programs and their folders need not exist.
#[derive(clap::Args)]
pub(crate) struct CleanArguments {
    #[command(flatten)]
    pub(crate) paths: PathArguments,
    #[cfg(not(windows))]
    #[command(flatten)]
    pub(crate) scope: Scope,
}

/// Parses `NAME=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// Parses `same`, `anyone`, or user IDs separated by commas.
#[cfg(not(windows))]
fn users(text: &str) -> Result<Policy, String> {
    match text {
        "same" => Ok(Policy::same_user()),
        "anyone" => Ok(Policy::anyone()),
        numbers => {
            let numbers = numbers.split(',').map(|number| number.trim().parse::<u32>());
            let users = numbers.collect::<Result<Vec<_>, _>>();
            users
                .map(Policy::users)
                .map_err(|_| "expected same, anyone, or user IDs such as 1000,1001".into())
        }
    }
}
