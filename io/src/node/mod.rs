//! A node: processes and links of its own, and their place in the cluster.
//!
//! ```text
//! Node, Process verbs (verbs.rs)
//!   names.rs         local names, published as services
//!   candidates.rs    globals: a process that exists once in the cluster
//!   ├── LocalNode    processes, mailboxes, links (crate::process, crate::link)
//!   └── Client       sessions, caches, registrations, elections (crate::client)
//! ```

mod candidates;
mod found;
mod names;
mod verbs;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use queenright_core::{Incarnation, Name};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::debug;

pub use found::Found;

use crate::adapter::{self, LastFailure, OperatingSystem, Tcp, diagnose};
use crate::client::Client;
use crate::config::Config;
use crate::error::Error;
use crate::mutation::Mutation;
use crate::port::{Host, Network, ZooKeeper};
use crate::process::{Gate, LocalNode, NodeId, NodeOptions, NodeStats, Process, ProcessId};
use candidates::Candidates;
use names::Published;

/// A member of the cluster that holds processes.
///
/// Clones are handles of the same node. It runs in the background, on the tokio runtime in which it was started,
/// until it is [`close`](Self::close)d. When the last handle is dropped it ends at once and in disorder: its
/// processes are killed, and what it registered is withdrawn if ZooKeeper can be reached.
///
/// ```no_run
/// use queenright::{Config, Node};
///
/// # async fn example() -> Result<(), queenright::Error> {
/// let node = Node::start(Config::new("localhost:2181").with_listen("127.0.0.1:0")).await?;
/// node.wait_ready().await?;
/// let echo = node.spawn(|mut process| async move {
///     loop {
///         let text: String = process.expect().await;
///         process.say(text);
///     }
/// });
/// node.register("echo", &echo)?; // published in ZooKeeper as the service `echo`
/// for pid in &*node.get_capable("echo").await? {
///     node.send(pid, "hello".to_owned()).await?;
/// }
/// node.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Cluster>);

/// What a node's handles and processes share.
pub(crate) struct Cluster {
    pub(crate) local: Arc<LocalNode>,
    pub(crate) client: Client,
    pub(crate) candidates: Candidates,
    pub(crate) published: Published,
    servers: Servers,
    connect_timeout: Duration,
    close_timeout: Duration,
    stop: CancellationToken,
    publisher: JoinHandle<()>,
}

/// What is known of the servers, for the error when none of them answers.
enum Servers {
    Real { config: Box<Config>, last_failure: LastFailure },
    Simulated,
}

/// Starts a node, runs `main` as a process of it, and closes the node in good order when that has ended.
///
/// # Errors
/// As for [`Node::start`] and [`Node::wait_ready`]; and [`Error::Died`] when the process did not end by itself.
///
/// Not cancel-safe: dropping the future kills the node's processes.
///
/// ```no_run
/// use queenright::{Config, bootstrap};
///
/// # async fn example() -> Result<(), queenright::Error> {
/// bootstrap(Config::new("localhost:2181"), |process| async move {
///     let boss = process.whereis_global("boss").await?;
///     process.say(format!("the boss is {boss:?}"));
///     Ok(())
/// })
/// .await?
/// # }
/// ```
pub async fn bootstrap<F, Fut, T>(config: Config, main: F) -> Result<T, Error>
where
    F: FnOnce(Process) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let node = Node::start(config).await?;
    let result = match node.wait_ready().await {
        Ok(()) => node.run(main).await,
        Err(error) => Err(error),
    };
    node.close().await;
    result
}

impl Node {
    /// Listens, and connects to ZooKeeper in the background: see [`wait_ready`](Self::wait_ready).
    ///
    /// Processes can be started and links be used at once; what needs ZooKeeper waits for it.
    ///
    /// # Errors
    /// [`Error::Config`], and [`Error::Start`] when it cannot listen.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn start(config: Config) -> Result<Self, Error> {
        config.check()?;
        let (zookeeper, last_failure) = adapter::zookeeper(&config)?;
        let servers = Servers::Real { config: Box::new(config.clone()), last_failure };
        let (network, host) = (Arc::new(Tcp), Arc::new(OperatingSystem));
        Self::assemble(config, zookeeper, network, host, servers).await
    }

    /// As [`start`](Self::start), on other ports: for simulation.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn with_ports(
        config: Config,
        zookeeper: Box<dyn ZooKeeper>,
        network: Arc<dyn Network>,
        host: Arc<dyn Host>,
    ) -> Result<Self, Error> {
        config.check()?;
        Self::assemble(config, zookeeper, network, host, Servers::Simulated).await
    }

    async fn assemble(
        config: Config,
        zookeeper: Box<dyn ZooKeeper>,
        network: Arc<dyn Network>,
        host: Arc<dyn Host>,
        servers: Servers,
    ) -> Result<Self, Error> {
        let incarnation = Incarnation(host.entropy());
        let options = NodeOptions {
            listen: config.listen.clone().unwrap_or_else(|| "127.0.0.1:0".to_owned()),
            advertise: config.advertise.clone(),
            incarnation,
            links: config.links()?,
            guards: config.guards,
        };
        let local = Arc::new(LocalNode::start(options, network, Arc::clone(&host)).await?);
        let name = Name::new(local.id().to_string())?;
        let client = Client::start_as(&config, name, incarnation, zookeeper, host)?;
        client.join(Vec::new()).await?;
        let stop = CancellationToken::new();
        let prefix = config.register_prefix.clone().unwrap_or_default();
        let publisher = names::publish(local.follow_names(), client.clone(), prefix, stop.clone());
        let cluster = Arc::new(Cluster {
            candidates: Candidates::new(Arc::clone(&local), client.clone()),
            published: Published::default(),
            servers,
            connect_timeout: config.connect_timeout,
            close_timeout: config.close_timeout,
            stop,
            publisher: tokio::spawn(publisher),
            local,
            client,
        });
        cluster.local.attach(Arc::downgrade(&cluster));
        debug!(node = %cluster.local.id(), "listening");
        Ok(Self(cluster))
    }

    /// Waits until ZooKeeper shows this node among the nodes that are up.
    ///
    /// # Errors
    /// [`Error::Connect`] at the connect timeout, naming the servers and what is wrong with each;
    /// [`Error::Refused`] when ZooKeeper refuses the membership. The node goes on trying.
    ///
    /// Cancel-safe.
    pub async fn wait_ready(&self) -> Result<(), Error> {
        let Cluster { client, servers, connect_timeout, .. } = &*self.0;
        if client.guards().lack(Mutation::NeverReady) {
            return Err(Error::Closed);
        }
        if client.connected(*connect_timeout).await {
            return client.join(Vec::new()).await?.registered().await;
        }
        let tried = match servers {
            Servers::Real { config, last_failure } => {
                let tried = diagnose(&config.connect_string()?).await;
                match last_failure.load().as_deref() {
                    Some(failure) => format!("{tried}; the last attempt: {failure}"),
                    None => tried,
                }
            }
            Servers::Simulated => "the simulated servers".to_owned(),
        };
        Err(Error::Connect { timeout: *connect_timeout, tried })
    }

    /// This node, in this life.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        self.0.local.id()
    }

    /// Discovery and election without processes, in this node's name.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Starts a process.
    pub fn spawn<F, Fut>(&self, body: F) -> ProcessId
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.local.spawn(body)
    }

    /// Starts a process, waits for its end, and gives what it returned.
    ///
    /// # Errors
    /// [`Error::Died`] when it did not end by itself.
    ///
    /// Dropping the future leaves the process running.
    pub async fn run<F, Fut, T>(&self, body: F) -> Result<T, Error>
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let (output, result) = tokio::sync::oneshot::channel();
        let parked = self.0.local.reserve();
        let mut process = self.0.local.spawn_reserved(parked, Gate::new(|| true), |process| async move {
            // Whoever waited may have gone.
            let _ = output.send(body(process).await);
        });
        let reason = process.joined().await;
        result.await.map_err(|_| Error::Died { pid: process.pid().clone(), reason: Box::new(reason) })
    }

    /// A look at this node.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.0.local.stats()
    }

    /// Ends the node in good order: elected processes are stopped and joined before their globals are released, what
    /// was registered is withdrawn, the session is closed, and then the other processes and the links end.
    ///
    /// Returns when that is done; each of the three steps ends at the close timeout at the latest.
    pub async fn close(self) {
        let Cluster { local, client, candidates, close_timeout, stop, .. } = &*self.0;
        stop.cancel();
        candidates.close(*close_timeout).await;
        client.clone().close().await;
        local.close(*close_timeout).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
        self.candidates.abandon();
        self.publisher.abort();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(self.id()).finish()
    }
}
