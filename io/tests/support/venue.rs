//! Where a scenario of whole clients and nodes takes place: a server, and the client with which they reach it.
//!
//! | | zookeeper-client | native |
//! |---|---|---|
//! | real server | live | live |
//! | dev server | – (`port` asks that pair, and the examples run on it) | yes |

use std::time::Duration;

use queenright::{ClientKind, Config, Node};

use super::cluster::{self, LEASE};
use super::server::Server;

/// The library's default.
const LONG_LEASE: Duration = Duration::from_secs(3);

pub(crate) struct Venue {
    pub(crate) server: Server,
    kind: ClientKind,
}

impl Venue {
    /// A configuration for this place.
    pub(crate) fn config(&self) -> Config {
        self.adapt(cluster::config(self.server.connect_string()))
    }

    /// The same configuration, with this place's client and lease.
    pub(crate) fn adapt(&self, config: Config) -> Config {
        config.with_client(self.kind).with_lease(self.lease())
    }

    /// Live tests have the machine for themselves. The others run beside whatever else runs, and a leader that gets no
    /// time loses its lease.
    pub(crate) const fn lease(&self) -> Duration {
        match self.server {
            Server::Real(_) => LEASE,
            Server::Dev(_) => LONG_LEASE,
        }
    }

    /// So many nodes of one cluster.
    pub(crate) async fn nodes<const N: usize>(&self) -> [Node; N] {
        cluster::nodes_of(&self.config()).await
    }
}

/// Runs a scenario in a runtime of its own.
pub(crate) fn run<F: Future<Output = ()>>(
    kind: ClientKind,
    server: Server,
    scenario: impl FnOnce(Venue) -> F,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(scenario(Venue { server, kind }));
}

/// Makes tests of scenarios, which are `async fn(Venue)`: one in each place.
macro_rules! everywhere {
    ($($scenario:ident,)*) => {
        mod zookeeper_client_and_real_server {
            use crate::support::{server::Server, venue};

            $(#[test]
            #[ignore = "needs ZooKeeper: make live"]
            fn $scenario() {
                venue::run(queenright::ClientKind::ZooKeeperClient, Server::real(), super::$scenario);
            })*
        }

        mod native_and_real_server {
            use crate::support::{server::Server, venue};

            $(#[test]
            #[ignore = "needs ZooKeeper: make live"]
            fn $scenario() {
                venue::run(queenright::ClientKind::Native, Server::real(), super::$scenario);
            })*
        }

        mod native_and_dev_server {
            use crate::support::{server::Server, venue};

            $(#[test]
            fn $scenario() {
                venue::run(queenright::ClientKind::Native, Server::dev(), super::$scenario);
            })*
        }
    };
}
pub(crate) use everywhere;
