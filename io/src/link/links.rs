use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::Inbound;
use super::config::LinkConfig;
use super::frame::{Address, Signal};
use super::outbound::{Outbound, Refusal};
use super::{accept, dial};
use crate::codec::EncodeError;
use crate::lock::{lock, read, write};
use crate::mutation::{Guards, Mutation};
use crate::port::{Host, Listener, Network};
use crate::process::{Fingerprint, Message, NodeId};

/// The links of one node.
///
/// Locks, in the order in which they are taken: the inbound links, one inbound's reading, whatever
/// [`Deliver`] takes, the outbound links, one outbound's buffer.
pub(crate) struct Links {
    pub(super) me: NodeId,
    pub(super) config: LinkConfig,
    pub(crate) guards: Guards,
    pub(super) network: Arc<dyn Network>,
    pub(super) host: Arc<dyn Host>,
    deliver: Weak<dyn Deliver>,
    inbound: Mutex<BTreeMap<NodeId, Arc<Inbound>>>,
    outbound: RwLock<Outbounds>,
    runtime: Handle,
    /// One writer for each peer.
    writers: TaskTracker,
    /// All others.
    tasks: TaskTracker,
    /// Cancelled at once when the node closes: no further connection is accepted.
    pub(super) closing: CancellationToken,
    /// Cancelled at the end of closing: every connection is dropped.
    pub(super) closed: CancellationToken,
}

/// To whom links deliver.
pub(crate) trait Deliver: Send + Sync + 'static {
    /// Something arrived from `from`. When a future is returned, nothing more is read from that link until it
    /// completes.
    fn deliver(&self, from: &NodeId, delivery: Delivery) -> Option<BoxFuture<'static, ()>>;

    /// The links with `peer` are lost, in both directions: what was sent and not answered may or may not have
    /// arrived. Called once for each loss, after the last delivery of the old link and before the first of
    /// the next.
    fn lost(&self, peer: &NodeId, loss: Loss);
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Delivery {
    Message { to: Address, fingerprint: Fingerprint, payload: Bytes },
    Signal(Signal),
}

/// What is known of a peer when its links are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing: it may live.
    Disconnected,
    /// This life of the node is over.
    NodeDown,
}

/// What became of an attempt to send.
pub(crate) enum Attempt {
    /// It waits for the writer, or was lost with its link.
    Taken,
    /// Too much waits: the sender should.
    Full(Arc<Outbound>),
}

/// How many links there are, and what waits in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkCounts {
    pub(crate) outbound: usize,
    pub(crate) inbound: usize,
    pub(crate) waiting: usize,
}

/// Which of a peer's links somebody is talking about.
pub(super) enum Which<'a> {
    Inbound(&'a Arc<Inbound>),
    Outbound(&'a Arc<Outbound>),
}

struct Outbounds {
    phase: Phase,
    by_peer: BTreeMap<NodeId, Arc<Outbound>>,
}

#[derive(Clone, Copy)]
enum Phase {
    Open,
    /// Nothing new is dialled.
    Closing,
}

/// How often a send looks for the successor of a link that closed under its hands. Then its message is lost,
/// as it would be if it had been sent a moment before.
const ATTEMPTS_MAX: usize = 4;
/// How long peers may take to close their ends after our goodbye.
pub(super) const LINGER: Duration = Duration::from_millis(500);

impl Links {
    pub(crate) fn new(
        me: NodeId,
        config: LinkConfig,
        network: Arc<dyn Network>,
        host: Arc<dyn Host>,
        deliver: Weak<dyn Deliver>,
        runtime: Handle,
        guards: Guards,
    ) -> Arc<Self> {
        Arc::new(Self {
            me,
            config,
            guards,
            network,
            host,
            deliver,
            inbound: Mutex::default(),
            outbound: RwLock::new(Outbounds { phase: Phase::Open, by_peer: BTreeMap::new() }),
            runtime,
            writers: TaskTracker::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        })
    }

    pub(crate) fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Accepts what dials `listener`, until the node closes.
    pub(crate) fn listen(self: &Arc<Self>, listener: Box<dyn Listener>) {
        self.spawn(accept::listen(self.clone(), listener));
    }

    /// Sends a message to `peer`, waiting while too much waits for it.
    ///
    /// Ok means that it is on its way, not that it arrives. Cancel-safe: a dropped future has sent nothing.
    ///
    /// # Errors
    /// When the message cannot be encoded.
    pub(crate) async fn send<T: Message>(
        self: &Arc<Self>,
        peer: &NodeId,
        to: &Address,
        message: T,
    ) -> Result<(), EncodeError> {
        loop {
            match self.attempt(peer, to, &message)? {
                Attempt::Taken => return Ok(()),
                Attempt::Full(outbound) => outbound.space(self.config.high_water).await,
            }
        }
    }

    /// Sends a message to `peer` unless too much waits for it. Dials when there is no link.
    ///
    /// # Errors
    /// When the message cannot be encoded.
    pub(crate) fn attempt<T: Message>(
        self: &Arc<Self>,
        peer: &NodeId,
        to: &Address,
        message: &T,
    ) -> Result<Attempt, EncodeError> {
        let (high_water, len_max) = (self.config.high_water, self.config.frame_len_max);
        for _ in 0..ATTEMPTS_MAX {
            let Some(outbound) = self.outbound(peer) else { break };
            match outbound.push(high_water, len_max, to, message) {
                Ok(()) => return Ok(Attempt::Taken),
                Err(Refusal::Full) => return Ok(Attempt::Full(outbound)),
                Err(Refusal::Encode(error)) => return Err(error),
                Err(Refusal::Closed) => {}
            }
        }
        Ok(Attempt::Taken)
    }

    /// Sends a signal to `peer`, never waiting. Dials when there is no link.
    pub(crate) fn signal(self: &Arc<Self>, peer: &NodeId, signal: &Signal) {
        for _ in 0..ATTEMPTS_MAX {
            let Some(outbound) = self.outbound(peer) else { return };
            match outbound.push_signal(self.config.high_water, signal) {
                Ok(()) => return,
                Err(Refusal::Full | Refusal::Closed) => {}
                Err(Refusal::Encode(error)) => {
                    tracing::error!(%peer, %error, "dropped a signal");
                    return;
                }
            }
        }
    }

    pub(crate) fn counts(&self) -> LinkCounts {
        let inbound = lock(&self.inbound).len();
        let outbounds = read(&self.outbound);
        LinkCounts {
            outbound: outbounds.by_peer.len(),
            inbound,
            waiting: outbounds.by_peer.values().map(|outbound| outbound.waiting()).sum(),
        }
    }

    /// Says goodbye on every link behind what waits on it, and closes them. At `deadline` whatever is left is
    /// cut.
    pub(crate) async fn close(&self, deadline: tokio::time::Instant) {
        self.closing.cancel();
        let finishing: Vec<_> = {
            let mut outbounds = write(&self.outbound);
            outbounds.phase = Phase::Closing;
            outbounds.by_peer.values().cloned().collect()
        };
        for outbound in &finishing {
            outbound.finish();
        }
        // A peer that we never dialled hears it on the link that it dialled. The others may not: it would
        // overtake what we sent.
        {
            let inbound = lock(&self.inbound);
            for (peer, inbound) in &*inbound {
                if !finishing.iter().any(|outbound| outbound.peer() == peer) {
                    inbound.say_goodbye();
                }
            }
        }
        self.writers.close();
        self.tasks.close();
        let flushed = async {
            self.writers.wait().await;
            let _ = tokio::time::timeout(LINGER, self.tasks.wait()).await;
        };
        let _ = tokio::time::timeout_at(deadline, flushed).await;
        self.abort();
        self.writers.wait().await;
        self.tasks.wait().await;
    }

    /// Drops every connection at once.
    pub(crate) fn abort(&self) {
        self.closing.cancel();
        self.closed.cancel();
        let mut outbounds = write(&self.outbound);
        outbounds.phase = Phase::Closing;
        for outbound in std::mem::take(&mut outbounds.by_peer).into_values() {
            outbound.close();
        }
    }

    /// `None` when the node is gone.
    pub(super) fn deliver(&self) -> Option<Arc<dyn Deliver>> {
        self.deliver.upgrade()
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// From now on `inbound` is the link from its peer. If there was one, the peer has lost that and dialled
    /// anew.
    pub(super) fn install(&self, inbound: &Arc<Inbound>) {
        let mut by_peer = lock(&self.inbound);
        if by_peer.contains_key(inbound.peer()) {
            tracing::debug!(peer = %inbound.peer(), "a peer dialled anew: its former link is lost");
            self.lose_locked(&mut by_peer, inbound.peer(), Loss::Disconnected, None);
        }
        by_peer.insert(inbound.peer().clone(), inbound.clone());
    }

    /// The links with a peer are lost, if `which` is still one of them: both are cut, and it is told once.
    ///
    /// `successor` takes the place of the outbound link. Tells how many bytes were lost, and `None` when
    /// `which` was not current.
    pub(super) fn lose(
        &self,
        peer: &NodeId,
        which: Which<'_>,
        loss: Loss,
        successor: Option<Arc<Outbound>>,
    ) -> Option<usize> {
        let mut by_peer = lock(&self.inbound);
        let is_current = match which {
            Which::Inbound(inbound) => by_peer.get(peer).is_some_and(|current| Arc::ptr_eq(current, inbound)),
            Which::Outbound(outbound) => {
                read(&self.outbound).by_peer.get(peer).is_some_and(|current| Arc::ptr_eq(current, outbound))
            }
        };
        is_current.then(|| self.lose_locked(&mut by_peer, peer, loss, successor))
    }

    /// An outbound link that found nothing to do ends without a loss, if nothing came in between.
    pub(super) fn retire(&self, outbound: &Arc<Outbound>) -> bool {
        let mut outbounds = write(&self.outbound);
        let is_current =
            outbounds.by_peer.get(outbound.peer()).is_some_and(|current| Arc::ptr_eq(current, outbound));
        if !is_current {
            return true;
        }
        let retired = outbound.close_if_idle();
        if retired {
            outbounds.by_peer.remove(outbound.peer());
        }
        retired
    }

    /// The order matters. The reader stops first, so that nothing of the old link is delivered after the loss
    /// was told; whoever sends during this finds a closed link and dials the next one; and nobody reads a
    /// next link before the loss was told, because installing it takes the lock that is held here.
    fn lose_locked(
        &self,
        by_peer: &mut BTreeMap<NodeId, Arc<Inbound>>,
        peer: &NodeId,
        loss: Loss,
        successor: Option<Arc<Outbound>>,
    ) -> usize {
        if let Some(inbound) = by_peer.remove(peer) {
            inbound.close();
        }
        let former = {
            let mut outbounds = write(&self.outbound);
            let former = match self.guards.lack(Mutation::NoRedial) {
                true => outbounds.by_peer.get(peer).cloned(),
                false => outbounds.by_peer.remove(peer),
            };
            match (successor, outbounds.phase) {
                (Some(successor), Phase::Open) => {
                    outbounds.by_peer.insert(peer.clone(), successor);
                }
                (Some(successor), Phase::Closing) => {
                    successor.close();
                }
                (None, Phase::Open | Phase::Closing) => {}
            }
            former
        };
        let lost = former.map_or(0, |outbound| outbound.close());
        if let Some(deliver) = self.deliver() {
            deliver.lost(peer, loss);
        }
        lost
    }

    /// The link to `peer`, dialled when there is none; `None` when there is none and the node closes.
    fn outbound(self: &Arc<Self>, peer: &NodeId) -> Option<Arc<Outbound>> {
        if let Some(outbound) = read(&self.outbound).by_peer.get(peer) {
            return Some(outbound.clone());
        }
        let mut outbounds = write(&self.outbound);
        if let Some(outbound) = outbounds.by_peer.get(peer) {
            return Some(outbound.clone());
        }
        match outbounds.phase {
            Phase::Open => {
                let outbound = Arc::new(Outbound::new(peer.clone(), self.guards));
                outbounds.by_peer.insert(peer.clone(), outbound.clone());
                self.writers.spawn_on(dial::run(self.clone(), outbound.clone()), &self.runtime);
                Some(outbound)
            }
            Phase::Closing => None,
        }
    }
}
