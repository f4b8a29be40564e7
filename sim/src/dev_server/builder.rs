//! How a server starts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio::sync::{Notify, oneshot, watch};

use super::state::Shared;
use super::{DevServer, serve};
use crate::zookeeper::{ServerConfig, digest};

/// So many clients may wait to be accepted: a thousand that start at once are no error.
const BACKLOG: u32 = 1024;

/// Settings of a [`DevServer`]: those of ZooKeeper, unless told otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct DevServerBuilder {
    listen: SocketAddr,
    allow_remote: bool,
    config: ServerConfig,
    exit_when_idle: Option<Duration>,
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address can be reached from other machines.
    #[error(
        "{0} can be reached from other machines, and this server trusts everybody: listen on 127.0.0.1, or allow \
         remote clients"
    )]
    Remote(SocketAddr),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// Somebody else listens there.
    #[error("port {} of {} is in use: another server may be running there", .0.port(), .0.ip())]
    InUse(SocketAddr),
    /// The system does not let it listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system has no thread for it.
    #[error("cannot start the server's thread: {0}")]
    Thread(#[source] io::Error),
}

impl Default for DevServerBuilder {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            allow_remote: false,
            config: ServerConfig::default(),
            exit_when_idle: None,
        }
    }
}

impl DevServerBuilder {
    /// Where to listen; port 0 is any that is free. 127.0.0.1:0 by default.
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Lets it listen on an address that is not a loopback one. Whoever reaches it can do everything.
    pub const fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// The unit of session timeouts; 2 s by default. Unless told otherwise, sessions then last 2 to 20 ticks.
    ///
    /// With a short tick sessions expire quickly, which is what tests want.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.config.tick = tick;
        self.session_limits(tick.saturating_mul(2), tick.saturating_mul(20))
    }

    /// The shortest and the longest session timeout that a client can have: what it asks for is brought between them.
    /// Call it after [`tick`](Self::tick).
    pub const fn session_limits(mut self, min: Duration, max: Duration) -> Self {
        self.config.min_session = min;
        self.config.max_session = max;
        self
    }

    /// How often containers and TTL nodes without children are removed; each minute by default.
    pub const fn sweep(mut self, interval: Duration) -> Self {
        self.config.sweep = interval;
        self
    }

    /// Who may do everything, whatever access control lists say: `user:password`, in plain text.
    pub fn super_user(mut self, credentials: &str) -> Self {
        self.config.super_digest = Some(digest::identity(credentials));
        self
    }

    /// The same as ZooKeeper's `superDigest` has it: `user:digest`.
    pub fn super_digest(mut self, digest: &str) -> Self {
        self.config.super_digest = Some(digest.into());
        self
    }

    /// Stops by itself when nobody was connected for so long.
    pub const fn exit_when_idle(mut self, quiet: Duration) -> Self {
        self.exit_when_idle = Some(quiet);
        self
    }

    /// Starts the server: clients can connect when this returns.
    ///
    /// # Errors
    /// When the settings make no sense, when it cannot listen there, and when the system has no thread for it.
    ///
    /// # Cancellation
    /// When it is dropped, the server stops.
    pub async fn start(self) -> Result<DevServer, StartError> {
        self.check()?;
        let shared = Arc::new(Shared::new(self.config.clone()));
        let stop = Arc::new(Notify::new());
        let (set_stopped, stopped) = watch::channel(false);
        let (set_started, started) = oneshot::channel();
        let (its_shared, its_stop) = (Arc::clone(&shared), Arc::clone(&stop));
        let serving = move || {
            let runtime = match runtime::Builder::new_current_thread().enable_io().enable_time().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(set_started.send(Err(StartError::Thread(error)))),
            };
            runtime.block_on(async {
                let listener = match self.bind() {
                    Ok(listener) => listener,
                    Err(error) => return drop(set_started.send(Err(error))),
                };
                let _ = set_started.send(Ok(listener.local_addr().unwrap_or(self.listen)));
                serve::serve(listener, its_shared, its_stop, self.exit_when_idle).await;
            });
            // With it go all connections.
            drop(runtime);
            let _ = set_stopped.send(true);
        };
        let thread = thread::Builder::new().name("zookeeper-dev-server".into()).spawn(serving);
        let thread = Some(thread.map_err(StartError::Thread)?);
        let mut server =
            DevServer { address: (Ipv4Addr::UNSPECIFIED, 0).into(), shared, stop, stopped, thread };
        server.address =
            started.await.map_err(|_| StartError::Thread(io::Error::other("it has panicked")))??;
        Ok(server)
    }

    fn check(&self) -> Result<(), StartError> {
        let ServerConfig { tick, min_session, max_session, sweep, .. } = &self.config;
        if !self.allow_remote && !self.listen.ip().is_loopback() {
            return Err(StartError::Remote(self.listen));
        }
        if tick.is_zero() || sweep.is_zero() {
            return Err(StartError::Setting("neither a tick nor a sweep interval can be zero".into()));
        }
        if min_session > max_session {
            return Err(StartError::Setting(format!(
                "no session timeout is at least {min_session:?} and at most {max_session:?}"
            )));
        }
        Ok(())
    }

    /// Listens. Needs a runtime.
    fn bind(&self) -> Result<TcpListener, StartError> {
        let address = self.listen;
        let listen = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A port that an earlier server has left a moment ago is free.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        listen().map_err(|source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                StartError::InUse(address)
            } else {
                StartError::Listen { address, source }
            }
        })
    }
}
