//! One boss in the whole cluster, and many workers: what `distributed-process-zookeeper` had as its example.
//!
//! ```text
//! cargo run --release --example boss                      # in two terminals: each one works, one is the boss
//! cargo run --release --example boss -- sweep the floor   # in a third
//! cargo run --release --example boss -- demo              # or everything at once
//! ```
//!
//! ```text
//!   requestor --Request--> boss --Assignment--> worker
//!             <--Answer---      <----Report----
//! ```
//! Messages arrive at most once, and bosses and workers die. What makes sure that a job is done all the same: the
//! requestor asks again, under the same id, whenever the boss changes or nothing comes; the boss gives the jobs of a
//! worker that died to another one; a worker knows what it has done. So an acknowledged job was done at least once,
//! and seldom twice.
//!
//! - [`message`]: what the roles say to each other; [`roles`]: what they do
//! - [`ledger`], [`recall`]: what a boss and a worker know, without I/O
//! - [`member`]: the node of a worker that may become the boss; [`ending`]: what ends it
//! - [`voice`]: what is told to people; [`demo`]: the story, with real processes

mod cli;
mod demo;
mod ending;
mod ledger;
mod member;
mod message;
mod recall;
mod roles;
mod voice;

use std::process::ExitCode;

use clap::Parser;
use queenright::{Error, Node};
use queenright_examples::dev_server;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command, Setup};
use crate::roles::requestor;
use crate::voice::{Event, Voice};

/// The exit status of a program that could not begin; also clap's, for wrong arguments.
const CANNOT_BEGIN: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    // This process may be the server for development that another one needs.
    if let Some(exit) = dev_server::serve_if_asked().await {
        return exit;
    }
    let mut cli = Cli::parse();
    let level = match cli.setup.verbose {
        // What may need somebody's attention is told by the roles themselves.
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    cli.setup.zookeeper = match dev_server::servers(cli.setup.zookeeper).await {
        Ok(servers) => Some(servers),
        Err(error) => {
            eprintln!("boss: {error}");
            return ExitCode::from(CANNOT_BEGIN);
        }
    };
    let result = match cli.command {
        Some(Command::Demo { jobs }) => demo::run(&cli.setup, jobs).await,
        None if !cli.job.is_empty() => request(&cli.setup, cli.job.join(" ")).await,
        None if cli.child => member::run(&cli.setup, Voice::Demo).await,
        None => member::run(&cli.setup, Voice::People).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("boss: {error}");
        if matches!(error, Error::Connect { .. }) {
            eprintln!(
                "boss: this needs an Apache ZooKeeper: start one, and say where with --zookeeper HOST:PORT"
            );
        }
        ExitCode::from(CANNOT_BEGIN)
    })
}

/// A transient requestor: one job, and away.
async fn request(setup: &Setup, task: String) -> Result<ExitCode, Error> {
    let node = Node::start(setup.config()).await?;
    node.wait_ready().await?;
    let limit = setup.timeout;
    let outcome = node.run(move |process| requestor::run(process, task, limit, Voice::People)).await?;
    node.close().await;
    match outcome {
        Ok(worker) => {
            Voice::People.tell(&Event::Acknowledged { worker });
            Ok(ExitCode::SUCCESS)
        }
        Err(unfinished) => {
            eprintln!("boss: {unfinished}");
            Ok(ExitCode::FAILURE)
        }
    }
}
