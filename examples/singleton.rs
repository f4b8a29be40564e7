//! Election without processes: a task that runs in one place only.
//!
//! ```text
//! cargo run --example singleton -- --name one     # in one terminal: it works
//! cargo run --example singleton -- --name two     # in another: it waits
//! ```
//! `kill -9` the first one: the second one works within the lease. End it by Ctrl-C: at once.
//!
//! Each term has a fencing token, greater than all before. Whoever receives what the task sends, and refuses tokens lower
//! than one that it has seen, is safe even from a leader whose last packet was late.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use queenright::{Client, Config, Leadership};
use queenright_examples::dev_server;

/// Run a task while this program is the leader, and wait otherwise. Ctrl-C ends it.
#[derive(Parser)]
#[command(name = "singleton")]
struct Cli {
    /// What the task is called; programs that name the same one compete for it.
    #[arg(default_value = "sweeper")]
    global: String,

    /// How this program presents itself to the others. [default: its process id]
    #[arg(long)]
    name: Option<String>,

    /// How long a leader may believe in itself without news from ZooKeeper.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    lease: Duration,

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
            eprintln!("singleton: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    let servers = dev_server::servers(cli.zookeeper).await?;
    let config = Config::new(servers).with_namespace(&cli.namespace).with_lease(cli.lease);
    let client = Client::connect(config).await?;
    let name = cli.name.unwrap_or_else(|| std::process::id().to_string());
    let mut candidacy = client.campaign(&cli.global, name.as_bytes()).await?;
    println!("{name} stands for {}", cli.global);

    let end = tokio::signal::ctrl_c();
    let terms = async {
        loop {
            let leadership = candidacy.elected().await?;
            println!("{name} leads, with token {}", leadership.token());
            // Polled only while this program leads, and dropped when it must stop.
            if leadership.run(sweep(&name, &leadership)).await.is_err() {
                println!("{name} leads no more");
            }
            // Dropping the leadership here says that nothing of the task runs any more: the next one may begin.
        }
    };
    tokio::select! {
        biased;
        _ = end => {
            candidacy.resign().await?;
            println!("{name} resigned");
            client.close().await;
            Ok(())
        }
        ended = terms => ended,
    }
}

/// What only one may do.
async fn sweep(name: &str, leadership: &Leadership) {
    for stroke in 1_u64.. {
        println!("{name} sweeps: stroke {stroke}, token {}", leadership.token());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
