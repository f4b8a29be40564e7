use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};
use std::time::Duration;

use queenright_core::{Incarnation, Name};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::cell::{Cell, Watcher};
use super::error::{SendError, StartError, TrySendError};
use super::handle::Process;
use super::id::{NodeId, ProcessId};
use super::inbox::Level;
use super::message::{Envelope, Message};
use super::reason::DiedReason;
use super::registry::{NameChanges, RegisterError, Registry};
use super::run::Run;
use super::stats::NodeStats;
use super::watch::RemoteWatches;
use crate::link::{Address, Attempt, Deliver, LinkConfig, Links, Signal};
use crate::lock::{lock, read, write};
use crate::mutation::Guards;
use crate::node::Cluster;
use crate::port::{Host, Network};

/// A node's processes, their local names, and its links to other nodes. It knows nothing of ZooKeeper.
///
/// Dropping it kills the processes and cuts the links; [`close`](Self::close) is the orderly way.
pub(crate) struct LocalNode {
    pub(super) inner: Arc<Inner>,
}

/// How a node is reached.
#[derive(Clone, Debug)]
pub(crate) struct NodeOptions {
    /// `host:port` to listen on; port 0 for any.
    pub(crate) listen: String,
    /// `host:port` under which other nodes reach it, when that is not the address it listens on. Port 0
    /// stands for the port that was bound.
    pub(crate) advertise: Option<String>,
    pub(crate) incarnation: Incarnation,
    pub(crate) links: LinkConfig,
    pub(crate) guards: Guards,
}

/// What processes, tasks and links share.
///
/// Locks are taken in this order: what is noted of watches between nodes, the table, the names, a process's
/// life. None of them is held while a link's own lock is waited for, except those of watches.
pub(crate) struct Inner {
    pub(super) id: NodeId,
    table: RwLock<Table>,
    next_process: AtomicU64,
    next_serial: AtomicU64,
    pub(super) names: Arc<Registry>,
    /// What our processes watch on other nodes.
    pub(super) remote: Mutex<RemoteWatches>,
    /// Which of our processes other nodes watch.
    pub(super) watched: Mutex<BTreeMap<NodeId, BTreeSet<u64>>>,
    pub(super) links: Arc<Links>,
    runtime: Handle,
    tasks: TaskTracker,
    /// What stands on this layer, for the verbs that need it.
    pub(super) cluster: OnceLock<Weak<Cluster>>,
}

struct Table {
    phase: Phase,
    cells: HashMap<u64, Arc<Cell>, BuildHasherDefault<NumberHasher>>,
}

#[derive(Clone, Copy)]
enum Phase {
    Open,
    Closing,
}

/// Process numbers are counted up by us, so any spread of the bits will do, and must be the same in each run.
#[derive(Default)]
struct NumberHasher(u64);

impl LocalNode {
    /// Binds the listen address and starts to accept links.
    ///
    /// # Errors
    /// When the configuration makes no sense or is unsafe, or the address cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub(crate) async fn start(
        options: NodeOptions,
        network: Arc<dyn Network>,
        host: Arc<dyn Host>,
    ) -> Result<Self, StartError> {
        let NodeOptions { listen, advertise, incarnation, links, guards } = options;
        links.validate()?;
        links.check_exposure(&listen)?;
        if let Some(advertise) = &advertise {
            links.check_exposure(advertise)?;
        }
        let bind_error = |error| StartError::Bind { address: listen.clone(), error };
        let listener = network.bind(&listen).await.map_err(bind_error)?;
        let bound = listener.local_addr().map_err(bind_error)?;
        links.check_exposure(&bound.to_string())?;
        let address = match advertise {
            Some(address) => match address.strip_suffix(":0") {
                Some(host) => format!("{host}:{}", bound.port()),
                None => address,
            },
            None if bound.ip().is_unspecified() => {
                return Err(StartError::Unspecified { address: bound.to_string() });
            }
            None => bound.to_string(),
        };
        let id = NodeId::new(address, incarnation)?;
        let runtime = Handle::current();
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| Inner {
            id: id.clone(),
            table: RwLock::new(Table { phase: Phase::Open, cells: HashMap::default() }),
            next_process: AtomicU64::new(1),
            next_serial: AtomicU64::new(1),
            names: Arc::default(),
            remote: Mutex::default(),
            watched: Mutex::default(),
            links: Links::new(
                id,
                links,
                network,
                host,
                inner.clone() as Weak<dyn Deliver>,
                runtime.clone(),
                guards,
            ),
            runtime,
            tasks: TaskTracker::new(),
            cluster: OnceLock::new(),
        });
        inner.links.listen(listener);
        Ok(Self { inner })
    }

    /// Makes the verbs of the layer above known to the processes; once.
    pub(crate) fn attach(&self, cluster: Weak<Cluster>) {
        let first = self.inner.cluster.set(cluster).is_ok();
        debug_assert!(first, "a node is attached once");
    }

    /// Gives a process of this node a name: see [`Process::register`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn register(&self, name: Name, pid: &ProcessId) -> Result<(), RegisterError> {
        self.inner.register(name, pid)
    }

    /// As [`Process::nsend_remote`], from outside of any process.
    ///
    /// # Errors
    /// When the message cannot be encoded.
    pub(crate) async fn nsend_remote<T: Message>(
        &self,
        node: &NodeId,
        name: &Name,
        message: T,
    ) -> Result<(), SendError> {
        self.inner.nsend_remote(node, name, message).await
    }

    /// This node, in this life.
    pub(crate) fn id(&self) -> &NodeId {
        &self.inner.id
    }

    /// Starts a process.
    pub(crate) fn spawn<F, Fut>(&self, body: F) -> ProcessId
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.inner.spawn(body, |_| ())
    }

    /// As [`Process::send`], from outside of any process.
    ///
    /// # Errors
    /// When the message cannot be encoded.
    pub(crate) async fn send<T: Message>(&self, to: &ProcessId, message: T) -> Result<(), SendError> {
        self.inner.send(to, message).await
    }

    /// As [`Process::exit`].
    pub(crate) fn exit(&self, pid: &ProcessId, reason: &str) {
        self.inner.exit(pid, reason);
    }

    /// As [`Process::kill`].
    pub(crate) fn kill(&self, pid: &ProcessId, reason: &str) {
        self.inner.kill(pid, reason);
    }

    /// The local names.
    pub(crate) fn names(&self) -> &Registry {
        &self.inner.names
    }

    /// The changes of local names, beginning with all that there are. One follower at a time: the latest.
    pub(crate) fn follow_names(&self) -> NameChanges {
        self.inner.names.follow()
    }

    pub(crate) fn stats(&self) -> NodeStats {
        self.inner.stats()
    }

    /// Kills the processes, delivers what they sent, says goodbye to the peers, and closes the links. What is
    /// not done after `timeout` is cut off. A process that never awaits holds it up beyond that: nothing can
    /// stop it.
    pub(crate) async fn close(&self, timeout: Duration) {
        let deadline = tokio::time::Instant::now() + timeout;
        self.inner.doom_all();
        self.inner.tasks.close();
        let _ = tokio::time::timeout_at(deadline, self.inner.tasks.wait()).await;
        self.inner.links.close(deadline).await;
    }
}

impl Drop for LocalNode {
    fn drop(&mut self) {
        self.inner.doom_all();
        self.inner.links.abort();
    }
}

impl Inner {
    /// A process in the table that does not run yet. On a closing node it is doomed from the beginning.
    pub(super) fn new_cell(&self) -> Arc<Cell> {
        let number = self.next_process.fetch_add(1, Ordering::Relaxed);
        let cell = Arc::new(Cell::new(ProcessId::new(self.id.clone(), number)));
        let mut table = write(&self.table);
        table.cells.insert(number, cell.clone());
        match table.phase {
            Phase::Open => {}
            Phase::Closing => cell.doom(closing()),
        }
        cell
    }

    /// Starts a process; `before` may set up something with it while it does not run yet.
    pub(super) fn spawn<F, Fut>(self: &Arc<Self>, body: F, before: impl FnOnce(&Arc<Cell>)) -> ProcessId
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let cell = self.new_cell();
        let pid = cell.pid().clone();
        before(&cell);
        self.run(cell, body, None);
        pid
    }

    pub(super) fn run<F, Fut>(
        self: &Arc<Self>,
        cell: Arc<Cell>,
        body: F,
        ended: Option<oneshot::Sender<DiedReason>>,
    ) where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let process = Process::new(self.clone(), cell.clone());
        // The body is called in the task, so that its panic is the process's.
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move { body(process).await });
        self.tasks.spawn_on(Run::new(self.clone(), cell, future, ended), &self.runtime);
    }

    pub(super) fn cell(&self, number: u64) -> Option<Arc<Cell>> {
        read(&self.table).cells.get(&number).cloned()
    }

    pub(super) fn is_local(&self, pid: &ProcessId) -> bool {
        *pid.node() == self.id
    }

    /// A number that this node never gave out before, for monitors and channels.
    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    /// The process's future is gone: tells everybody.
    pub(super) fn died(self: &Arc<Self>, cell: &Arc<Cell>, reason: &DiedReason) {
        let Some(relations) = cell.bury() else { return };
        let pid = cell.pid();
        write(&self.table).cells.remove(&pid.number());
        // A name that is gone before the death is told cannot be found by who was told.
        self.names.forget(pid.number());
        cell.close();
        for (target, watch) in relations.watching() {
            self.stop_being_told(pid.number(), target, watch);
        }
        for watcher in &relations.watchers {
            match watcher {
                Watcher::Process(number, watch) => {
                    if let Some(watcher) = self.cell(*number) {
                        watcher.tell(pid, *watch, reason);
                    }
                }
                Watcher::Node(node) => {
                    self.forget_watched(node, pid.number());
                    let signal = Signal::Died { target: pid.number(), reason: reason.clone() };
                    self.links.signal(node, &signal);
                }
            }
        }
    }

    /// Sends a message; waits while too much waits for the receiver's node.
    pub(super) async fn send<T: Message>(&self, to: &ProcessId, message: T) -> Result<(), SendError> {
        if self.is_local(to) {
            self.deliver_local(to.number(), message);
            return Ok(());
        }
        Ok(self.links.send(to.node(), &Address::Process(to.number()), message).await?)
    }

    pub(super) async fn nsend_remote<T: Message>(
        &self,
        node: &NodeId,
        name: &Name,
        message: T,
    ) -> Result<(), SendError> {
        if *node != self.id {
            return Ok(self.links.send(node, &Address::Named(name.clone()), message).await?);
        }
        if let Some(holder) = self.names.whereis(name.as_str()) {
            self.deliver_local(holder.number(), message);
        }
        Ok(())
    }

    pub(super) fn try_send<T: Message>(&self, to: &ProcessId, message: T) -> Result<(), TrySendError<T>> {
        if self.is_local(to) {
            self.deliver_local(to.number(), message);
            return Ok(());
        }
        match self.links.attempt(to.node(), &Address::Process(to.number()), &message) {
            Ok(Attempt::Taken) => Ok(()),
            Ok(Attempt::Full(_)) => Err(TrySendError::Full(message)),
            Err(error) => Err(SendError::from(error).into()),
        }
    }

    pub(super) fn deliver_local<T: Message>(&self, number: u64, message: T) {
        let none_is_high = self.deliver_to(number, Envelope::local(message), usize::MAX);
        debug_assert!(none_is_high.is_none(), "local messages are not bounded");
    }

    /// Puts a message into a process's mailbox. Gives the process when its mailbox is above the mark now.
    pub(super) fn deliver_to(&self, number: u64, envelope: Envelope, high_water: usize) -> Option<Arc<Cell>> {
        let table = read(&self.table);
        let Some(cell) = table.cells.get(&number) else {
            // Dropping the message may run anything, this function too.
            drop(table);
            return None;
        };
        let offered = cell.inbox.offer(envelope, high_water);
        let high = (offered.level == Level::High).then(|| Arc::clone(cell));
        drop(table);
        offered.finish();
        high
    }

    pub(super) fn stats(&self) -> NodeStats {
        let cells: Vec<_> = read(&self.table).cells.values().cloned().collect();
        let links = self.links.counts();
        NodeStats {
            node: self.id.clone(),
            processes: cells.len(),
            names: self.names.len(),
            watches: cells.iter().map(|cell| cell.watching_count()).sum(),
            links_outbound: links.outbound,
            links_inbound: links.inbound,
            bytes_waiting: links.waiting,
        }
    }

    fn doom_all(&self) {
        let mut cells: Vec<_> = {
            let mut table = write(&self.table);
            table.phase = Phase::Closing;
            table.cells.values().cloned().collect()
        };
        cells.sort_unstable_by_key(|cell| cell.pid().number());
        for cell in cells {
            cell.doom(closing());
        }
    }

    pub(super) fn forget_watched(&self, node: &NodeId, number: u64) {
        let mut watched = lock(&self.watched);
        if let Some(numbers) = watched.get_mut(node) {
            numbers.remove(&number);
            if numbers.is_empty() {
                watched.remove(node);
            }
        }
    }
}

fn closing() -> DiedReason {
    DiedReason::Killed("its node closes".into())
}

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
