//! `queenright-sim completions`: for shells.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Write a script that completes this program's arguments, to standard output.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// For which shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[allow(clippy::unnecessary_wraps)] // As the other subcommands.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode, String> {
    clap_complete::generate(settings.shell, &mut Cli::command(), "queenright-sim", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
