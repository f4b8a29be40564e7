//! The examples' own ZooKeeper: a program that is told of none joins the server on this machine, or starts one.
//!
//! The server is a process of its own, so that it outlives the program that happened to start it, and the next program
//! finds what the first one has left: the program runs itself again, with [`SUBCOMMAND`] as its first argument. It leaves
//! by itself [`QUIET`] after its last client.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use queenright_examples::dev_server;
//!
//! #[tokio::main]
//! async fn main() -> ExitCode {
//!     // First of all: this process may be the server.
//!     if let Some(exit) = dev_server::serve_if_asked().await {
//!         return exit;
//!     }
//!     let told = None;
//!     let servers = dev_server::servers(told).await.unwrap();
//!     // … connect to `servers` …
//!     ExitCode::SUCCESS
//! }
//! ```

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use queenright_sim::{DevServer, StartError};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Where a server is looked for, and started: ZooKeeper's own port, so that a real one that runs here is used.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2181);
/// Overrides [`ADDRESS`]; the tests have ports of their own.
pub const ADDRESS_VARIABLE: &str = "QUEENRIGHT_DEV_SERVER";
/// Overrides [`QUIET`], in seconds.
pub const QUIET_VARIABLE: &str = "QUEENRIGHT_DEV_SERVER_QUIET";
/// What a program is told in order to be the server. No user types it, and no help shows it.
pub const SUBCOMMAND: &str = "queenright-dev-server";
/// The server leaves when nobody was connected for so long.
pub const QUIET: Duration = Duration::from_secs(60);

/// How long a server may take to come.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long whoever listens there may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How often to look whether a server has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How often somebody may hang up without an answer before he is a stranger: a server that is leaving does so once.
const HANG_UPS_MAX: u32 = 3;
/// So much of an answer tells whether a ZooKeeper speaks.
const ANSWER_LEN: usize = 64;

/// Why there is no server.
#[derive(Debug, Error)]
pub enum Unavailable {
    /// The variable is no address.
    #[error("{ADDRESS_VARIABLE}={0} is no address like {ADDRESS}")]
    Address(String),
    /// Something else has the port.
    #[error(
        "{address} is taken by something that is no ZooKeeper ({why}): stop it, or say where a ZooKeeper is"
    )]
    Stranger {
        /// Where.
        address: SocketAddr,
        /// How it shows.
        why: String,
    },
    /// The server ended before anybody could reach it.
    #[error("the server for development on {address} ended at once, with {status}")]
    Ended {
        /// Where.
        address: SocketAddr,
        /// How.
        status: ExitStatus,
    },
    /// Nothing came.
    #[error("no server for development on {0} within {START_LIMIT:?}")]
    Late(SocketAddr),
    /// It cannot be looked for, or started.
    #[error("a server for development on {address} cannot be {what}: {source}")]
    System {
        /// Where.
        address: SocketAddr,
        /// What failed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Is the server, if this process was started in order to be one, and returns when it has ended.
pub async fn serve_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != SUBCOMMAND {
        return None;
    }
    let address = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(ADDRESS);
    match serve(address, quiet()).await {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{SUBCOMMAND}: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

async fn serve(address: SocketAddr, quiet: Duration) -> Result<(), StartError> {
    let mut server = DevServer::builder().listen(address).exit_when_idle(quiet).start().await?;
    server.stopped().await;
    Ok(())
}

/// The connect string to use: what the program was `told`, or else that of the server on this machine.
///
/// # Errors
/// Those of [`find_or_start`].
pub async fn servers(told: Option<String>) -> Result<String, Unavailable> {
    match told {
        Some(servers) => Ok(servers),
        None => find_or_start().await,
    }
}

/// The connect string of a ZooKeeper on this machine: of the one that is there, real or not, or of a new server.
///
/// Several programs may do this at the same moment: one of their servers gets the port, and all of them find it.
///
/// # Errors
/// When something else has the port, or no server can be started.
pub async fn find_or_start() -> Result<String, Unavailable> {
    let address = address()?;
    let deadline = Instant::now() + START_LIMIT;
    let mut child: Option<Child> = None;
    let mut hang_ups = 0;
    loop {
        match probe(address).await {
            Ok(Neighbour::ZooKeeper) => {
                if child.is_some() {
                    eprintln!(
                        "No --zookeeper was given: started a server for development on {address}. It keeps \
                         everything in memory, and leaves {} s after its last client.",
                        quiet().as_secs()
                    );
                }
                return Ok(address.to_string());
            }
            Ok(Neighbour::Nobody) => match &mut child {
                None => child = Some(start(address)?),
                Some(child) => {
                    if let Some(status) = child.try_wait().map_err(system(address, "watched"))? {
                        return Err(Unavailable::Ended { address, status });
                    }
                }
            },
            Ok(Neighbour::HungUp) if hang_ups < HANG_UPS_MAX => hang_ups += 1,
            Ok(stranger @ (Neighbour::HungUp | Neighbour::Silent | Neighbour::Stranger(_))) => {
                return Err(Unavailable::Stranger { address, why: stranger.to_string() });
            }
            Err(error) => return Err(system(address, "looked for")(error)),
        }
        if Instant::now() > deadline {
            return Err(Unavailable::Late(address));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Who is at an address.
#[derive(Debug)]
enum Neighbour {
    Nobody,
    ZooKeeper,
    HungUp,
    Silent,
    Stranger(String),
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody is there"),
            Self::ZooKeeper => f.write_str("it is a ZooKeeper"),
            Self::HungUp => f.write_str("it hangs up"),
            Self::Silent => f.write_str("it does not answer"),
            Self::Stranger(answer) => write!(f, "it says {answer:?}"),
        }
    }
}

/// Asks whoever listens there for the one four-letter word that ZooKeeper answers unless it was told otherwise.
async fn probe(address: SocketAddr) -> io::Result<Neighbour> {
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Neighbour::Nobody),
        Err(error) => return Err(error),
    };
    let mut answer = Vec::new();
    let talk = async {
        stream.write_all(b"srvr").await?;
        (&mut stream).take(ANSWER_LEN as u64).read_to_end(&mut answer).await
    };
    let talked = timeout(ANSWER_LIMIT, talk).await;
    let text = String::from_utf8_lossy(&answer);
    // A member of an ensemble that has no leader says that it is not serving; one that is told not to answer says that.
    let is_zookeeper = text.starts_with("Zookeeper version")
        || text.starts_with("This ZooKeeper instance")
        || text.starts_with("srvr is not executed");
    Ok(match talked {
        _ if is_zookeeper => Neighbour::ZooKeeper,
        _ if !answer.is_empty() => Neighbour::Stranger(text.into_owned()),
        Ok(_) => Neighbour::HungUp,
        Err(_) => Neighbour::Silent,
    })
}

/// Runs this program again, as a server that nothing holds: Ctrl-C at this program's terminal is not for it, and neither
/// is the end of this program.
fn start(address: SocketAddr) -> Result<Child, Unavailable> {
    let program = std::env::current_exe().map_err(system(address, "started"))?;
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).arg(address.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // So that it keeps no folder from being removed.
    command.current_dir(std::env::temp_dir());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(system(address, "started"))
}

fn address() -> Result<SocketAddr, Unavailable> {
    match std::env::var(ADDRESS_VARIABLE) {
        Ok(text) => text.parse().map_err(|_| Unavailable::Address(text)),
        Err(_) => Ok(ADDRESS),
    }
}

fn quiet() -> Duration {
    let seconds = std::env::var(QUIET_VARIABLE).ok().and_then(|text| text.parse().ok());
    seconds.map_or(QUIET, Duration::from_secs)
}

fn system(address: SocketAddr, what: &'static str) -> impl FnOnce(io::Error) -> Unavailable {
    move |source| Unavailable::System { address, what, source }
}
