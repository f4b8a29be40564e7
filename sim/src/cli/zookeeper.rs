//! `queenright-sim zookeeper`: a server for development.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use queenright_sim::{DevServer, StartError};

/// Run a ZooKeeper server for development: no JVM, no configuration, up in a moment.
///
/// It speaks the protocol of version 3.9, and keeps everything IN MEMORY ONLY: when it stops, all is gone. Everybody who
/// reaches it is let in, so it listens on loopback addresses unless told otherwise.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Where to listen; port 0 is any that is free.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2181", value_parser = address)]
    listen: SocketAddr,

    /// The unit of session timeouts, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    tick_ms: u64,

    /// The shortest session timeout that clients get. [default: 2 ticks]
    #[arg(long, value_name = "MS")]
    min_session_ms: Option<u64>,

    /// The longest session timeout that clients get. [default: 20 ticks]
    #[arg(long, value_name = "MS")]
    max_session_ms: Option<u64>,

    /// How often containers and TTL nodes without children are removed.
    #[arg(long, value_name = "MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..))]
    sweep_ms: u64,

    /// Who may do everything, whatever access control lists say.
    #[arg(long = "super", value_name = "USER:PASSWORD", value_parser = credentials)]
    superuser: Option<String>,

    /// Stop when nobody was connected for so long.
    #[arg(long, value_name = "SECS")]
    exit_when_idle: Option<u64>,

    /// Listen on an address that other machines can reach. Whoever reaches it can do everything.
    #[arg(long)]
    allow_remote: bool,
}

/// Serves until a signal comes, or until it was idle for long enough.
pub(crate) fn run(settings: &Settings) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let served = runtime.map_err(Failure::Runtime).and_then(|runtime| runtime.block_on(serve(settings)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("queenright-sim: {failure}");
            failure.exit_code()
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}; --allow-remote does that")]
    Remote(StartError),
    #[error("{0}: say where else with --listen HOST:PORT")]
    InUse(StartError),
    #[error(transparent)]
    Start(StartError),
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
}

impl Failure {
    /// 2 when the arguments are to blame.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Remote(_) | Self::Start(StartError::Setting(_)) => ExitCode::from(2),
            Self::InUse(_) | Self::Start(_) | Self::Runtime(_) | Self::Signals(_) => ExitCode::FAILURE,
        }
    }
}

async fn serve(settings: &Settings) -> Result<(), Failure> {
    let tick = Duration::from_millis(settings.tick_ms);
    let min = settings.min_session_ms.map_or(tick.saturating_mul(2), Duration::from_millis);
    let max = settings.max_session_ms.map_or(tick.saturating_mul(20), Duration::from_millis);
    let mut builder = DevServer::builder()
        .listen(settings.listen)
        .tick(tick)
        .session_limits(min, max)
        .sweep(Duration::from_millis(settings.sweep_ms));
    if let Some(superuser) = &settings.superuser {
        builder = builder.super_user(superuser);
    }
    if let Some(quiet) = settings.exit_when_idle {
        builder = builder.exit_when_idle(Duration::from_secs(quiet));
    }
    if settings.allow_remote {
        builder = builder.allow_remote();
    }
    // Before the server: a signal that comes as soon as it can be reached ends it in good order.
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let mut server = builder.start().await.map_err(|error| match error {
        StartError::Remote(_) => Failure::Remote(error),
        StartError::InUse(_) => Failure::InUse(error),
        StartError::Setting(_) | StartError::Listen { .. } | StartError::Thread(_) => Failure::Start(error),
    })?;
    say(&format!("A ZooKeeper for development listens on {}. It is in memory only.", server.address()));
    tokio::select! {
        biased;
        () = signals.next() => {}
        () = server.stopped() => say("Nobody was connected for a while."),
    }
    Ok(())
}

/// Tells whoever listens; a server does not end because nobody does.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// What asks the program to end.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// An address, or a host name that stands for one.
fn address(text: &str) -> Result<SocketAddr, String> {
    use std::net::ToSocketAddrs;
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{error}; expected HOST:PORT"))?;
    addresses.next().ok_or_else(|| "the name stands for no address".into())
}

fn credentials(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((user, _)) if !user.is_empty() => Ok(text.into()),
        _ => Err("expected USER:PASSWORD".into()),
    }
}
