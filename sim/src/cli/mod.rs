//! The command line: one file for each subcommand.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod explore;
#[cfg(feature = "mutations")]
mod guards;
pub(crate) mod museum;
#[cfg(feature = "mutations")]
pub(crate) mod mutants;
mod names;
mod recording;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod shrink;
mod subject;
pub(crate) mod world;
#[cfg(all(feature = "mutations", feature = "world"))]
mod world_mutants;
pub(crate) mod zookeeper;

use clap::{Parser, Subcommand};

/// A model of ZooKeeper for development and tests, and a simulator with faults.
///
/// Exit status: 0 when all is well; 1 when something failed or a property does not hold; 2 for wrong arguments; 3 when
/// the same plan gave different runs; 4 when what should have happened did not.
#[derive(Debug, Parser)]
#[command(name = "queenright-sim", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Zookeeper(zookeeper::Settings),
    Explore(explore::Settings),
    World(world::Settings),
    Check(check::Settings),
    Replay(replay::Settings),
    Shrink(shrink::Settings),
    Museum(museum::Settings),
    #[cfg(feature = "mutations")]
    Mutants(mutants::Settings),
    Completions(completions::Settings),
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
