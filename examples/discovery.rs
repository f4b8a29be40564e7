//! Discovery without processes: register an instance with metadata, and follow all instances as they come and go.
//!
//! ```text
//! cargo run --example discovery -- web --metadata http://10.0.0.7:8080    # in one terminal
//! cargo run --example discovery -- web --metadata http://10.0.0.8:8080    # in another: the first one tells of it
//! ```
//! Ctrl-C withdraws the instance at once; after `kill -9` it stays until its session has ended.

use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use futures_util::StreamExt;
use queenright::{Client, Config, Freshness, Instance, InstanceChange};
use queenright_examples::dev_server;

/// Register an instance of a service, and print all instances as they come, change and go. Ctrl-C ends it.
#[derive(Parser)]
#[command(name = "discovery")]
struct Cli {
    /// Which service.
    #[arg(default_value = "web")]
    service: String,

    /// What others shall know of this instance, for example its address.
    #[arg(long, value_name = "TEXT", default_value = "http://127.0.0.1:8080")]
    metadata: String,

    /// Register nothing: only look.
    #[arg(long, conflicts_with = "metadata")]
    look: bool,

    /// The ZooKeeper servers: host:port, several with commas between, and perhaps a /path behind. Without it, the one on
    /// 127.0.0.1:2181, which is started if there is none.
    #[arg(long, value_name = "HOSTS", env = "QUEENRIGHT_ZOOKEEPER")]
    zookeeper: Option<String>,

    /// The znode below which everything is.
    #[arg(long, value_name = "PATH", default_value = "/queenright")]
    namespace: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    // This process may be the server for development that another one needs.
    if let Some(exit) = dev_server::serve_if_asked().await {
        return exit;
    }
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("discovery: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    let servers = dev_server::servers(cli.zookeeper).await?;
    let client = Client::connect(Config::new(servers).with_namespace(&cli.namespace)).await?;

    // Here we are, for as long as this lives: in every later session, too.
    let registration = match cli.look {
        true => None,
        false => Some(client.register(&cli.service, None, cli.metadata).await?),
    };
    if let Some(registration) = &registration {
        println!("registered as {}", registration.instance());
    }

    // Who else? The first item is the level, with everybody in it; each later one is a difference.
    let mut changes = pin!(client.follow(&cli.service).await?.into_stream());
    // One for all rounds: it hears what comes while nobody waits.
    let mut end = pin!(tokio::signal::ctrl_c());
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut end => break,
            next = changes.next() => next,
        };
        let Some(next) = next else { break };
        for change in next.changes {
            match change {
                InstanceChange::Added(instance) => println!("+ {}", describe(&instance)),
                InstanceChange::Updated(instance) => println!("~ {}", describe(&instance)),
                InstanceChange::Removed(name) => println!("- {name}"),
            }
        }
        match next.freshness {
            Freshness::Fresh => {}
            Freshness::Stale { .. } => println!("! ZooKeeper cannot be reached: this is what was known"),
            Freshness::Loading | Freshness::Unknown => println!("! ZooKeeper does not tell"),
        }
    }

    if let Some(registration) = registration {
        registration.unregister().await?;
        println!("withdrawn");
    }
    client.close().await;
    Ok(())
}

fn describe(instance: &Instance) -> String {
    format!("{} at {}", instance.name, String::from_utf8_lossy(&instance.payload))
}
