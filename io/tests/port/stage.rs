//! A server, the two ways to it, and what can go wrong with it.

use std::sync::Arc;
use std::time::Duration;

use queenright::adapter::{NativeClient, OperatingSystem, Tcp, ZooKeeperClient};
use queenright::port::ZooKeeper as Port;
use queenright::{ClientKind, Config};
use queenright_core::SessionId;

use crate::holder::Holder;
use crate::simulated;
use crate::support::relay::Relay;
use crate::support::server::Server;

pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) struct Stage {
    kind: ClientKind,
    place: Place,
}

enum Place {
    Sockets { server: Server, relay: Relay },
    Simulated { world: simulated::World, wrap: fn(Box<dyn Port>) -> Box<dyn Port> },
}

impl Stage {
    pub(crate) fn new(server: Server, kind: ClientKind) -> Self {
        let relay = Relay::to(server.address());
        Self { kind, place: Place::Sockets { server, relay } }
    }

    pub(crate) fn simulated(world: simulated::World, wrap: fn(Box<dyn Port>) -> Box<dyn Port>) -> Self {
        Self { kind: ClientKind::Native, place: Place::Simulated { world, wrap } }
    }

    /// A client with a session, on a way that can be disturbed.
    pub(crate) async fn client(&self) -> Holder {
        let servers = match &self.place {
            Place::Sockets { relay, .. } => relay.address().to_string(),
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
            Place::Sockets { server, .. } => server.connect_string(),
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
            Place::Sockets { relay, .. } => relay.stall(),
            Place::Simulated { world, .. } => world.disturb(simulated::Mode::Stalled),
        }
    }

    /// The disturbed way is closed.
    pub(crate) fn cut(&self) {
        match &self.place {
            Place::Sockets { relay, .. } => relay.cut(),
            Place::Simulated { world, .. } => world.disturb(simulated::Mode::Cut),
        }
    }

    pub(crate) fn heal(&self) {
        match &self.place {
            Place::Sockets { relay, .. } => relay.heal(),
            Place::Simulated { world, .. } => world.disturb(simulated::Mode::Open),
        }
    }

    /// How many bytes came out of clients on the disturbed way.
    pub(crate) fn bytes_from_clients(&self) -> usize {
        match &self.place {
            Place::Sockets { relay, .. } => relay.bytes_from_clients(),
            Place::Simulated { world, .. } => world.bytes_from_clients(),
        }
    }

    /// Ends a session at the server, as if its client had been silent for too long.
    pub(crate) fn expire(&self, session: SessionId) {
        match &self.place {
            Place::Sockets { server, .. } => server.expire(session),
            Place::Simulated { world, .. } => world.expire(session),
        }
    }

    /// How many sessions of connected clients there are.
    pub(crate) fn session_count(&self) -> usize {
        match &self.place {
            Place::Sockets { server, .. } => server.session_count(),
            Place::Simulated { world, .. } => world.session_count(),
        }
    }
}

pub(crate) fn config(servers: &str) -> Config {
    Config::new(servers).with_session_timeout(SESSION_TIMEOUT)
}
