//! The program `queenright-sim`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Zookeeper(settings) => return cli::zookeeper::run(&settings),
        Command::Explore(settings) => cli::explore::run(&settings),
        Command::World(settings) => cli::world::run(&settings),
        Command::Check(settings) => cli::check::run(&settings),
        Command::Replay(settings) => cli::replay::run(&settings),
        Command::Shrink(settings) => cli::shrink::run(&settings),
        Command::Museum(settings) => cli::museum::run(&settings),
        #[cfg(feature = "mutations")]
        Command::Mutants(settings) => cli::mutants::run(&settings),
        Command::Completions(settings) => cli::completions::run(&settings),
    };
    ended.unwrap_or_else(|wrong| {
        eprintln!("queenright-sim: {wrong}");
        ExitCode::from(cli::report::USAGE)
    })
}
