use std::sync::Arc;

use tokio::sync::oneshot;

use super::cell::Cell;
use super::gate::Gate;
use super::handle::Process;
use super::id::ProcessId;
use super::node::{Inner, LocalNode};
use super::reason::{DiedReason, bounded};

/// A pid and its mailbox, for a process that may start later. Dropped, the pid is dead.
pub(crate) struct Parked {
    node: Arc<Inner>,
    cell: Arc<Cell>,
    fate: Fate,
}

enum Fate {
    GivenUp,
    Started,
}

/// A process that acts only while its gate is open, from the side of whoever opened it.
pub(crate) struct Tenant {
    cell: Arc<Cell>,
    end: End,
}

enum End {
    Awaited(oneshot::Receiver<DiedReason>),
    Seen(DiedReason),
}

impl LocalNode {
    /// A pid for a process that does not run yet. What is sent to it waits in its mailbox.
    pub(crate) fn reserve(&self) -> Parked {
        Parked { node: self.inner.clone(), cell: self.inner.new_cell(), fate: Fate::GivenUp }
    }

    /// Starts a process on a pid that was reserved.
    ///
    /// Its future is polled only while `gate` is open, tested before every poll, and what it sends is tested
    /// too. When the gate is found closed the process is killed; whoever closes it should
    /// [`kill`](Tenant::kill) too, for nothing polls an idle process.
    pub(crate) fn spawn_reserved<F, Fut>(&self, mut parked: Parked, gate: Gate, body: F) -> Tenant
    where
        F: FnOnce(Process) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        parked.fate = Fate::Started;
        let cell = parked.cell.clone();
        cell.set_gate(gate);
        let (ended, end) = oneshot::channel();
        self.inner.run(cell.clone(), body, Some(ended));
        Tenant { cell, end: End::Awaited(end) }
    }
}

impl Parked {
    /// The pid.
    pub(crate) fn pid(&self) -> &ProcessId {
        self.cell.pid()
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        match self.fate {
            Fate::GivenUp => {
                self.node.died(&self.cell, &DiedReason::Killed("its reservation was given up".into()));
            }
            Fate::Started => {}
        }
    }
}

impl Tenant {
    /// The process.
    pub(crate) fn pid(&self) -> &ProcessId {
        self.cell.pid()
    }

    /// Lets the process stop at its next await.
    pub(crate) fn kill(&self, reason: &str) {
        self.cell.doom(DiedReason::Killed(bounded(reason.into())));
    }

    /// Why the process ended, once its future has been dropped and everybody has been told. Cancel-safe.
    pub(crate) async fn joined(&mut self) -> DiedReason {
        let end = match &mut self.end {
            End::Seen(reason) => return reason.clone(),
            End::Awaited(end) => end.await,
        };
        // The sender goes with the task, and the task tells before it goes.
        let reason = end.unwrap_or(DiedReason::UnknownId);
        self.end = End::Seen(reason.clone());
        reason
    }
}
