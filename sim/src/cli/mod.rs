//! The command line: one file for each subcommand.

pub(crate) mod zookeeper;

use clap::{Parser, Subcommand};

/// A model of ZooKeeper, for development and tests.
///
/// Exit status: 0 when all is well; 1 when something failed; 2 for wrong arguments.
#[derive(Debug, Parser)]
#[command(name = "queenright-sim", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Zookeeper(zookeeper::Settings),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
