use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use queenright_core::Name;

use super::cell::{Cell, Watch};
use super::channel::{self, ReceivePort, SendPort};
use super::error::{SendError, TrySendError};
use super::id::{NodeId, ProcessId};
use super::message::{Envelope, Fit, Message};
use super::node::Inner;
use super::reason::{DiedReason, MonitorRef, ProcessMonitorNotification, bounded};
use super::registry::RegisterError;
use super::stats::NodeStats;
use crate::node::Cluster;

/// What a process can do. It is handed to the process's future and belongs to it.
///
/// A process ends when its future completes, panics, or is stopped by [`exit`](Self::exit),
/// [`kill`](Self::kill) or the death of a process that it linked to; a stopped future is dropped at its next
/// await. A handle that outlives its future can do no harm: its receives never complete, and nobody hears of
/// what it monitors.
pub struct Process {
    pub(super) node: Arc<Inner>,
    pub(super) cell: Arc<Cell>,
    /// Taken from the inbox, and not yet received. The mutex is never locked: it makes the handle `Sync`,
    /// which messages need not be, so that `&self` can be held across an await.
    pub(super) held: Mutex<VecDeque<Envelope>>,
}

impl Process {
    pub(super) fn new(node: Arc<Inner>, cell: Arc<Cell>) -> Self {
        Self { node, cell, held: Mutex::default() }
    }

    /// This process.
    #[must_use]
    pub fn self_pid(&self) -> &ProcessId {
        self.cell.pid()
    }

    /// The node on which it runs.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.node.id
    }

    /// Sends a message to a process: moved within a node, encoded to another.
    ///
    /// Ok means that it is on its way. It arrives at most once, behind all that this process sent to that one
    /// before; it is lost when that process is dead, or when the link breaks, which monitors tell. Waits
    /// while more than [`high_water`](crate::LinkConfig::high_water) bytes wait for that node. Cancel-safe: a
    /// dropped future has sent nothing.
    ///
    /// # Errors
    /// When the message cannot be encoded, or this process may not act any more.
    pub async fn send<T: Message>(&self, to: &ProcessId, message: T) -> Result<(), SendError> {
        self.checkpoint().await;
        self.check_term()?;
        self.node.send(to, message).await
    }

    /// As [`send`](Self::send), without waiting: when too much waits for that node, the message comes back.
    ///
    /// # Errors
    /// When it is not sent.
    pub fn try_send<T: Message>(&self, to: &ProcessId, message: T) -> Result<(), TrySendError<T>> {
        self.check_term()?;
        self.node.try_send(to, message)
    }

    /// Sends to whoever is registered under `name` on this node, if anybody is.
    ///
    /// # Errors
    /// When this process may not act any more.
    pub async fn nsend<T: Message>(&self, name: &str, message: T) -> Result<(), SendError> {
        self.checkpoint().await;
        self.check_term()?;
        if let Some(holder) = self.node.names.whereis(name) {
            self.node.deliver_local(holder.number(), message);
        }
        Ok(())
    }

    /// Sends to whoever is registered under `name` on `node` when the message arrives, if anybody is.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn nsend_remote<T: Message>(
        &self,
        node: &NodeId,
        name: &Name,
        message: T,
    ) -> Result<(), SendError> {
        self.checkpoint().await;
        self.check_term()?;
        self.node.nsend_remote(node, name, message).await
    }

    /// A typed channel to this process. The send port can be sent to others, on any node.
    #[must_use]
    pub fn new_chan<T: Message>(&self) -> (SendPort<T>, ReceivePort<T>) {
        channel::open(&self.node, &self.cell)
    }

    /// Sends by a channel. As [`send`](Self::send), but messages by a channel are in order among themselves
    /// only.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_chan<T: Message>(&self, to: &SendPort<T>, message: T) -> Result<(), SendError> {
        self.checkpoint().await;
        self.check_term()?;
        channel::send(&self.node, to, message).await
    }

    /// Starts a process on this node.
    pub fn spawn_local<F, Fut>(&self, body: F) -> ProcessId
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.node.spawn(body, |_| ())
    }

    /// Starts a process on this node and [links](Self::link) this one to it.
    pub fn spawn_link<F, Fut>(&self, body: F) -> ProcessId
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.node.spawn(body, |cell| self.node.watch(&self.cell, cell.pid(), Watch::Link))
    }

    /// Starts a process on this node and [monitors](Self::monitor) it.
    pub fn spawn_monitor<F, Fut>(&self, body: F) -> (ProcessId, MonitorRef)
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let reference = MonitorRef(self.node.next_serial());
        let watch = Watch::Monitor(reference);
        let pid = self.node.spawn(body, |cell| self.node.watch(&self.cell, cell.pid(), watch));
        (pid, reference)
    }

    /// Binds this process's life to that of `pid`: when `pid` dies, in whatever way (a normal end too), or
    /// when its node cannot be reached, this process dies of [`DiedReason::Linked`]. As in Cloud Haskell a
    /// link has one direction: the death of this process is nothing to `pid`.
    pub fn link(&self, pid: &ProcessId) {
        self.node.watch(&self.cell, pid, Watch::Link);
    }

    /// Takes a link back. Afterwards the death of `pid` does not stop this process, unless it has already
    /// been told.
    pub fn unlink(&self, pid: &ProcessId) {
        self.node.unwatch(&self.cell, pid, Watch::Link);
    }

    /// Asks to be told once when `pid` dies or cannot be reached: a [`ProcessMonitorNotification`] arrives as
    /// a message, behind all that `pid` had sent.
    pub fn monitor(&self, pid: &ProcessId) -> MonitorRef {
        let reference = MonitorRef(self.node.next_serial());
        self.node.watch(&self.cell, pid, Watch::Monitor(reference));
        reference
    }

    /// Takes a monitor back. Afterwards its notification is not received, even if it had arrived.
    pub fn demonitor(&mut self, reference: MonitorRef) {
        if let Some(pid) = self.cell.monitored(reference) {
            self.node.unwatch(&self.cell, &pid, Watch::Monitor(reference));
        }
        let held = held(&mut self.held);
        self.cell.inbox.take(held);
        held.retain_mut(|envelope| {
            envelope.fit(|it: &ProcessMonitorNotification| it.reference == reference) != Fit::Yes
        });
    }

    /// Asks a process to stop, for a reason: it dies of [`DiedReason::Exited`] at its next await, whatever it
    /// waits for. Nothing happens when it is dead, or when this process may not act any more.
    ///
    /// Like all signals it never waits: it goes behind what was sent before, also above the high-water mark.
    pub fn exit(&self, pid: &ProcessId, reason: impl AsRef<str>) {
        if self.cell.may_act() {
            self.node.exit(pid, reason.as_ref());
        }
    }

    /// As [`exit`](Self::exit), but it dies of [`DiedReason::Killed`]. There is no way to refuse either; the
    /// two differ for those who are told.
    pub fn kill(&self, pid: &ProcessId, reason: impl AsRef<str>) {
        if self.cell.may_act() {
            self.node.kill(pid, reason.as_ref());
        }
    }

    /// Ends this process with [`DiedReason::Exception`].
    pub async fn die(&self, reason: impl fmt::Display) -> ! {
        self.cell.doom(DiedReason::Exception(bounded(reason.to_string())));
        std::future::pending().await
    }

    /// Gives a process of this node a name, until it is unregistered or dies.
    ///
    /// # Errors
    /// When the name cannot be one, or another process has it, or `pid` is dead or lives elsewhere.
    pub fn register(&self, name: impl AsRef<str>, pid: &ProcessId) -> Result<(), RegisterError> {
        self.node.register(Name::new(name)?, pid)
    }

    /// Takes a name back. Tells who had it.
    pub fn unregister(&self, name: impl AsRef<str>) -> Option<ProcessId> {
        self.node.names.unregister(name.as_ref())
    }

    /// Who is registered under `name` on this node.
    #[must_use]
    pub fn whereis(&self, name: impl AsRef<str>) -> Option<ProcessId> {
        self.node.names.whereis(name.as_ref())
    }

    /// A look at this node.
    #[must_use]
    pub fn get_node_stats(&self) -> NodeStats {
        self.node.stats()
    }

    /// Writes a line to the log, at INFO, in this process's name.
    pub fn say(&self, text: impl fmt::Display) {
        tracing::info!(target: "queenright::say", pid = %self.self_pid(), "{text}");
    }

    /// What stands on the process layer, if anything does.
    pub(crate) fn attached(&self) -> Option<&Weak<Cluster>> {
        self.node.cluster.get()
    }

    /// Where a process stops if it is to, and yields now and then even if it never has to wait.
    pub(super) async fn checkpoint(&self) {
        if self.cell.is_stopping() {
            // The task was woken when this came about, and drops this future when it is polled again.
            std::future::pending::<()>().await;
        }
        tokio::task::consume_budget().await;
    }

    fn check_term(&self) -> Result<(), SendError> {
        if self.cell.may_act() { Ok(()) } else { Err(SendError::TermOver) }
    }
}

impl Inner {
    pub(super) fn register(&self, name: Name, pid: &ProcessId) -> Result<(), RegisterError> {
        if !self.is_local(pid) {
            return Err(RegisterError::NotLocal { pid: pid.clone() });
        }
        let Some(cell) = self.cell(pid.number()) else {
            return Err(RegisterError::Dead { pid: pid.clone() });
        };
        self.names.register(name, &cell)
    }
}

pub(super) fn held(held: &mut Mutex<VecDeque<Envelope>>) -> &mut VecDeque<Envelope> {
    held.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(self.self_pid()).finish()
    }
}
