//! A server, the two ways to it, and what can go wrong with it.

use std::sync::Arc;
use std::time::Duration;

use queenright::adapter::{NativeClient, OperatingSystem, Tcp, ZooKeeperClient};
use queenright::port::ZooKeeper as Port;
use queenright::{ClientKind, Config};
use queenright_core::SessionId;
use queenright_sim::DevServer;

use crate::holder::Holder;
use crate::simulated;
use crate::support::relay::Relay;
use crate::support::zookeeper::{TICK, ZooKeeper};

pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) struct Stage {
    kind: ClientKind,
    place: Place,
}

enum Place {
    Real { server: ZooKeeper, relay: Relay },
    Dev { server: DevServer, relay: Relay },
    Simulated { world: simulated::World, wrap: fn(Box<dyn Port>) -> Box<dyn Port> },
}

impl Stage {
    pub(crate) fn real(kind: ClientKind) -> Self {
        let server = ZooKeeper::start();
        let relay = Relay::to(server.address(1));
        Self { kind, place: Place::Real { server, relay } }
    }

    pub(crate) fn dev(kind: ClientKind) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limits = (2 * TICK, Duration::from_secs(60));
        let starting = DevServer::builder().tick(TICK).session_limits(limits.0, limits.1).start();
        let server = runtime.block_on(starting).unwrap();
        let relay = Relay::to(server.address());
        Self { kind, place: Place::Dev { server, relay } }
    }

    pub(crate) fn simulated(world: simulated::World, wrap: fn(Box<dyn Port>) -> Box<dyn Port>) -> Self {
        Self { kind: ClientKind::Native, place: Place::Simulated { world, wrap } }
    }

    /// A client with a session, on a way that can be disturbed.
    pub(crate) async fn client(&self) -> Holder {
        let servers = match &self.place {
            Place::Real { relay, .. } | Place::Dev { relay, .. } => relay.address().to_string(),
            Place::Simulated { .. } => simulated::DISTURBED.to_owned(),
        };
        self.connect(&config(&servers)).await
    }

    /// Another client, on a way where nothing goes wrong.
    pub(crate) async fn other(&self) -> Holder {
        self.connect(&config(&self.servers())).await
    }

    /// Where nothing goes wrong.
    pub(crate) fn servers(&self) -> String {
        match &self.place {
            Place::Real { server, .. } => server.connect_string(),
            Place::Dev { server, .. } => server.connect_string(),
            Place::Simulated { .. } => simulated::STRAIGHT.to_owned(),
        }
    }

    pub(crate) async fn connect(&self, config: &Config) -> Holder {
        let config = &config.clone().with_client(self.kind);
        let port: Box<dyn Port> = match (&self.place, self.kind) {
            (Place::Simulated { world, wrap }, _) => {
                wrap(Box::new(NativeClient::new(config, world.network(), world.host()).unwrap()))
            }
            (_, ClientKind::ZooKeeperClient) => Box::new(ZooKeeperClient::new(config).unwrap()),
            (_, ClientKind::Native) => {
                let native = NativeClient::new(config, Arc::new(Tcp), Arc::new(OperatingSystem));
                Box::new(native.unwrap())
            }
        };
        Holder::connect(port).await
    }

    /// Nothing passes any more on the disturbed way, and nobody is told.
    pub(crate) fn stall(&self) {
        match &self.place {
            Place::Real { relay, .. } | Place::Dev { relay, .. } => relay.stall(),
            Place::Simulated { world, .. } => world.disturb(simulated::Mode::Stalled),
        }
    }

    /// The disturbed way is closed.
    pub(crate) fn cut(&self) {
        match &self.place {
            Place::Real { relay, .. } | Place::Dev { relay, .. } => relay.cut(),
            Place::Simulated { world, .. } => world.disturb(simulated::Mode::Cut),
        }
    }

    pub(crate) fn heal(&self) {
        match &self.place {
            Place::Real { relay, .. } | Place::Dev { relay, .. } => relay.heal(),
            Place::Simulated { world, .. } => world.disturb(simulated::Mode::Open),
        }
    }

    /// How many bytes came out of clients on the disturbed way.
    pub(crate) fn bytes_from_clients(&self) -> usize {
        match &self.place {
            Place::Real { relay, .. } | Place::Dev { relay, .. } => relay.bytes_from_clients(),
            Place::Simulated { world, .. } => world.bytes_from_clients(),
        }
    }

    /// Ends a session at the server, as if its client had been silent for too long.
    pub(crate) fn expire(&self, session: SessionId) {
        match &self.place {
            Place::Real { server, .. } => server.expire(1, session.0),
            Place::Dev { server, .. } => assert!(server.expire_session(session), "{session} is over"),
            Place::Simulated { world, .. } => world.expire(session),
        }
    }

    /// How many sessions of connected clients there are.
    pub(crate) fn session_count(&self) -> usize {
        match &self.place {
            Place::Real { server, .. } => server.sessions(1).len(),
            Place::Dev { server, .. } => server.sessions().len(),
            Place::Simulated { world, .. } => world.session_count(),
        }
    }
}

pub(crate) fn config(servers: &str) -> Config {
    Config::new(servers).with_session_timeout(SESSION_TIMEOUT)
}
