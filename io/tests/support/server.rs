//! A server to try things on: a real one, or the dev server, which needs no Java.

use std::net::SocketAddr;
use std::time::Duration;

use queenright_core::SessionId;
use queenright_sim::DevServer;

use super::zookeeper::{TICK, ZooKeeper};

/// One server. Dropping it ends it.
pub(crate) enum Server {
    Real(ZooKeeper),
    Dev(DevServer),
}

impl Server {
    pub(crate) fn real() -> Self {
        Self::Real(ZooKeeper::start())
    }

    /// With the same times as the real one. Not for use in a runtime: it has one of its own.
    pub(crate) fn dev() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limits = (2 * TICK, Duration::from_secs(60));
        let starting = DevServer::builder().tick(TICK).session_limits(limits.0, limits.1).start();
        Self::Dev(runtime.block_on(starting).unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Real(server) => server.address(1),
            Self::Dev(server) => server.address(),
        }
    }

    pub(crate) fn connect_string(&self) -> String {
        match self {
            Self::Real(server) => server.connect_string(),
            Self::Dev(server) => server.connect_string(),
        }
    }

    /// Ends a session, as if its client had been silent for too long.
    pub(crate) fn expire(&self, session: SessionId) {
        match self {
            Self::Real(server) => server.expire(1, session.0),
            Self::Dev(server) => assert!(server.expire_session(session), "{session} is over"),
        }
    }

    /// How many sessions of connected clients there are.
    pub(crate) fn session_count(&self) -> usize {
        match self {
            Self::Real(server) => server.sessions(1).len(),
            Self::Dev(server) => server.sessions().len(),
        }
    }
}
