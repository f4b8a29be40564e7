//! What a service knows of its place in the simulation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use queenright::adapter::NativeClient;
use queenright::port::Host;
use queenright::{Client, Config, Error, Node};

use super::drawn::Observed;
use super::ports::{Heard, Ports, Wires};
use super::shared::Shared;
use crate::checkers::Life;

/// Where nodes listen.
const PORT: u16 = 4711;
/// What nodes of one simulation know each other by.
const COOKIE: &[u8] = b"one simulation";

/// One life of one node: what a service is given, and by which it gets what it would get from
/// [`Client::connect`] and [`Node::start`] in production.
#[derive(Clone)]
pub struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) ports: Arc<Ports>,
    pub(super) index: u8,
    pub(super) life: u32,
    pub(super) config: Config,
}

impl Member {
    pub(super) fn new(shared: Arc<Shared>, index: u8, life: u32, clock_ppm: i32, config: &Config) -> Self {
        let ports = Arc::new(Ports::new(Arc::clone(&shared), index, life, clock_ppm));
        let config = config
            .clone()
            .with_listen(format!("0.0.0.0:{PORT}"))
            .with_advertise(format!("node-{index}:{PORT}"))
            .with_cookie(COOKIE);
        Self { shared, ports, index, life, config }
    }

    /// Which node this is, from 0.
    #[must_use]
    pub const fn index(&self) -> u8 {
        self.index
    }

    /// How often the node was started before.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// The configuration that [`client`](Self::client) and [`node`](Self::node) use: change it, and hand it to
    /// [`client_with`](Self::client_with) or [`node_with`](Self::node_with).
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Connects to the simulated ZooKeeper: see [`Client::connect`].
    ///
    /// # Errors
    /// As there.
    pub async fn client(&self) -> Result<Client, Error> {
        self.client_with(self.config()).await
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// As for [`Client::connect`].
    pub async fn client_with(&self, config: Config) -> Result<Client, Error> {
        let zookeeper = self.zookeeper(&config)?;
        Client::with_ports(config, zookeeper, Heard::new(&self.ports)).await
    }

    /// Starts a node on the simulated network, and waits until it is ready: see [`Node::start`].
    ///
    /// # Errors
    /// As there, and for [`Node::wait_ready`].
    pub async fn node(&self) -> Result<Node, Error> {
        self.node_with(self.config()).await
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// As for [`Node::start`] and [`Node::wait_ready`].
    pub async fn node_with(&self, config: Config) -> Result<Node, Error> {
        let zookeeper = self.zookeeper(&config)?;
        let network = Arc::new(Wires(Arc::clone(&self.ports)));
        let node = Node::with_ports(config, zookeeper, network, Heard::new(&self.ports)).await?;
        node.wait_ready().await?;
        Ok(node)
    }

    /// Time since the beginning of the simulation, by nobody's clock. For what watches the service, not for the service.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.elapsed()
    }

    /// 128 bits that the seed gives, others with every call.
    #[must_use]
    pub fn entropy(&self) -> u128 {
        self.ports.entropy()
    }

    /// Writes a line into the trace, which a failure shows.
    pub fn say(&self, text: impl fmt::Display) {
        let text = text.to_string();
        self.shared.note(&(self.index, &text), |line| write!(line, "node-{}: {text}", self.index));
    }

    /// Ends the simulation as a failure: `property` does not hold.
    pub fn fail(&self, property: &str, detail: impl fmt::Display) {
        self.shared.fail(property, format!("node-{}: {detail}", self.index));
    }

    pub(super) const fn whole_life(&self) -> Life {
        Life { node: self.index, number: self.life }
    }

    fn zookeeper(&self, config: &Config) -> Result<Box<Observed>, Error> {
        let network = Arc::new(Wires(Arc::clone(&self.ports)));
        let client = NativeClient::new(config, network, self.ports.clone())?;
        Ok(Box::new(Observed { client, shared: Arc::clone(&self.shared), life: self.whole_life() }))
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("index", &self.index).field("life", &self.life).finish_non_exhaustive()
    }
}
