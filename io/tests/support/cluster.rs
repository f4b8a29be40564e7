//! Nodes under test, and what tests do with them.

use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use queenright::{Config, Message, Node, ProcessId};
use tokio::time::{Instant, sleep, timeout};

use super::zookeeper::ZooKeeper;

/// Short, so that tests are, and still ten beats of a busy machine's scheduler.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// Nothing here waits for the end of a session, unless it says so.
pub(crate) const SESSION: Duration = Duration::from_secs(30);
/// For what should happen at once: long enough for a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A node on the loopback, with times for tests.
pub(crate) fn config(servers: impl Into<String>) -> Config {
    Config::new(servers)
        .with_listen("127.0.0.1:0")
        .with_lease(LEASE)
        .with_session_timeout(SESSION)
        .with_connect_timeout(PATIENCE)
        .with_request_timeout(PATIENCE)
}

/// A node that ZooKeeper shows among the others.
pub(crate) async fn node(config: Config) -> Node {
    let node = Node::start(config).await.unwrap();
    node.wait_ready().await.unwrap();
    node
}

/// So many nodes of one cluster.
pub(crate) async fn nodes<const N: usize>(zookeeper: &ZooKeeper) -> [Node; N] {
    nodes_of(&config(zookeeper.connect_string())).await
}

/// So many nodes with one configuration.
pub(crate) async fn nodes_of<const N: usize>(config: &Config) -> [Node; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(node(config.clone()).await);
    }
    nodes.try_into().unwrap()
}

/// What a process received.
pub(crate) struct Received<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Received<T> {
    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }
}

/// Starts a process that keeps every `T` it gets.
pub(crate) fn collector<T: Message>(node: &Node) -> (ProcessId, Received<T>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let pid = node.spawn(|mut process| async move {
        loop {
            let message = process.expect().await;
            kept.lock().unwrap().push(message);
        }
    });
    (pid, Received(received))
}

/// A process that does nothing.
pub(crate) fn idler(node: &Node) -> ProcessId {
    node.spawn(|_| std::future::pending())
}

/// What it gives, if that does not take longer than [`PATIENCE`].
#[track_caller]
pub(crate) fn soon<T>(what: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move { timeout(PATIENCE, what).await.unwrap_or_else(|_| panic!("not in time: {caller}")) }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Who offers a service, as `node` sees it; sorted.
pub(crate) async fn capable(node: &Node, service: &str) -> Vec<ProcessId> {
    let mut pids = node.get_capable(service).await.unwrap().to_vec();
    pids.sort();
    pids
}

/// The same, sorted, for comparisons.
pub(crate) fn sorted<T: Ord>(of: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut of: Vec<T> = of.into_iter().collect();
    of.sort();
    of
}
