//! `syshandle completions` and `syshandle man`: files that are generated from the definition of the
//! command line.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use syshandle::{Error, Result};
use syshandle_types::Printable;

use crate::output::write_content;

/// Arguments of `syshandle completions`.
#[derive(clap::Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Arguments of `syshandle man`.
#[derive(clap::Args)]
pub(crate) struct ManArguments {
    /// The folder; created if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints shell completions for the command.
pub(crate) fn completions(arguments: &CompletionsArguments, mut command: Command) -> ExitCode {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    write_content(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Writes a manual page for the command and for each subcommand.
pub(crate) fn man(arguments: &ManArguments, command: Command) -> Result<ExitCode> {
    let directory = &arguments.directory;
    let written =
        fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    written.map_err(|error| {
        let directory = Printable(directory.display());
        Error::failed(format!("the manual pages can't be written to {directory}: {error}"))
    })?;
    Ok(ExitCode::SUCCESS)
}
