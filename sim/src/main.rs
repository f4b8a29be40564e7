//! The program `queenright-sim`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Zookeeper(settings) => cli::zookeeper::run(&settings),
    }
}
