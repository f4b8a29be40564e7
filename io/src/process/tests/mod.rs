//! Nodes together: on one machine, over loopback TCP, and over a network in memory that can be cut.

mod faults;
mod local;
mod remote;
mod tenants;

use std::sync::Arc;
use std::time::Duration;

use queenright_core::Incarnation;
use tokio::sync::oneshot;

use super::node::{LocalNode, NodeOptions};
use super::{Process, ProcessId, StartError};
use crate::adapter::{OperatingSystem, Tcp};
use crate::link::LinkConfig;
use crate::mutation::Guards;
use crate::port::{Host, Network};

pub(crate) use super::id::tests::nodes;

/// Long enough for anything that should happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn start(
    network: Arc<dyn Network>,
    listen: &str,
    links: LinkConfig,
) -> Result<LocalNode, StartError> {
    let options = NodeOptions {
        listen: listen.into(),
        advertise: None,
        incarnation: Incarnation(OperatingSystem.entropy()),
        links,
        guards: Guards::default(),
    };
    LocalNode::start(options, network, Arc::new(OperatingSystem)).await
}

/// A node on loopback TCP.
pub(crate) async fn tcp_node() -> LocalNode {
    start(Arc::new(Tcp), "127.0.0.1:0", LinkConfig::default()).await.unwrap()
}

/// Runs `body` as a process of `node`, and gives what it returns.
///
/// Panics when the process dies, or takes longer than [`SOON`].
pub(crate) async fn within<R, F, Fut>(node: &LocalNode, body: F) -> R
where
    R: Send + 'static,
    F: FnOnce(Process) -> Fut + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let (done, result) = oneshot::channel();
    node.spawn(move |p| async move {
        let _ = done.send(body(p).await);
    });
    tokio::time::timeout(SOON, result).await.expect("in time").expect("the process lives")
}

/// A process that answers each `u64` with the same, and its pid.
pub(crate) fn spawn_echo(node: &LocalNode) -> ProcessId {
    node.spawn(|mut p| async move {
        loop {
            let (from, number) = p.expect::<(ProcessId, u64)>().await;
            p.send(&from, number).await.unwrap();
        }
    })
}

/// Completes when `condition` holds. Panics when it does not within [`SOON`].
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(SOON, wait).await.is_err() {
        panic!("not in time: {what}");
    }
}
