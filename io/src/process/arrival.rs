//! What other nodes send.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::cell::Cell;
use super::id::NodeId;
use super::inbox::{Inbox, Level};
use super::message::{Envelope, Fingerprint};
use super::node::Inner;
use super::reason::DiedReason;
use crate::link::{Address, Deliver, Delivery, Loss, Signal};
use crate::lock::lock;
use crate::mutation::Mutation;

/// Where an arriving message goes.
enum Mailbox {
    Process,
    Channel(Arc<Inbox>),
}

impl Deliver for Inner {
    fn deliver(&self, from: &NodeId, delivery: Delivery) -> Option<BoxFuture<'static, ()>> {
        match delivery {
            Delivery::Message { to, fingerprint, payload } => {
                self.message_arrived(from, &to, fingerprint, payload)
            }
            Delivery::Signal(signal) => {
                self.signal_arrived(from, signal);
                None
            }
        }
    }

    fn lost(&self, peer: &NodeId, loss: Loss) {
        let (reason, guard) = match loss {
            Loss::Disconnected => (DiedReason::Disconnected, Mutation::LossNotTold),
            Loss::NodeDown => (DiedReason::NodeDown, Mutation::NodeDownNotTold),
        };
        if self.links.guards.lack(guard) {
            return;
        }
        let ours = lock(&self.remote).take_node(peer);
        for (target, watchers) in ours {
            self.tell_all(peer, target, watchers, &reason);
        }
        let theirs = lock(&self.watched).remove(peer).unwrap_or_default();
        self.forget_watcher(peer, theirs);
    }
}

impl Inner {
    fn message_arrived(
        &self,
        from: &NodeId,
        to: &Address,
        fingerprint: Fingerprint,
        payload: Bytes,
    ) -> Option<BoxFuture<'static, ()>> {
        let envelope = Envelope::remote(fingerprint, payload);
        let mark = self.links.config().mailbox_high_water;
        let (cell, mailbox) = match to {
            Address::Process(number) => (self.deliver_to(*number, envelope, mark)?, Mailbox::Process),
            Address::Named(name) => {
                let holder = self.names.whereis(name.as_str())?;
                (self.deliver_to(holder.number(), envelope, mark)?, Mailbox::Process)
            }
            Address::Channel { process, channel } => {
                let cell = self.cell(*process)?;
                let inbox = cell.channel(*channel)?;
                match inbox.push(envelope, mark) {
                    Level::Low => return None,
                    Level::High => (cell, Mailbox::Channel(inbox)),
                }
            }
        };
        tracing::trace!(node = %self.id, %from, pid = %cell.pid(), "a mailbox is full: its link waits");
        Some(Box::pin(relief(cell, mailbox, mark, self.links.config().mailbox_patience)))
    }

    fn signal_arrived(&self, from: &NodeId, signal: Signal) {
        match signal {
            Signal::Watch { target } => {
                if !self.note_watched(from, target) {
                    let reason = DiedReason::UnknownId;
                    self.links.signal(from, &Signal::Died { target, reason });
                }
            }
            Signal::Unwatch { target } => {
                self.forget_watched(from, target);
                self.forget_watcher(from, [target]);
            }
            Signal::Died { target, reason } => {
                let watchers = lock(&self.remote).take(from, target);
                self.tell_all(from, target, watchers, &reason.bounded());
            }
            Signal::Exit { target, reason } => self.doom(target, DiedReason::Exited(reason)),
            Signal::Kill { target, reason } => self.doom(target, DiedReason::Killed(reason)),
        }
    }

    fn doom(&self, target: u64, reason: DiedReason) {
        if let Some(cell) = self.cell(target) {
            // It is told on, and a signal has a limit.
            cell.doom(reason.bounded());
        }
    }
}

/// Waits until the receiver has caught up. One that takes nothing at all is killed: it would hold up
/// everybody whose messages come by the same link, for ever.
async fn relief(cell: Arc<Cell>, mailbox: Mailbox, mark: usize, patience: std::time::Duration) {
    let inbox = match &mailbox {
        Mailbox::Process => &cell.inbox,
        Mailbox::Channel(inbox) => inbox,
    };
    let Err(stalled) = inbox.room(mark, patience).await else { return };
    let reason = format!(
        "it took nothing for {patience:?} while {} bytes from other nodes waited in its mailbox",
        stalled.charge
    );
    tracing::warn!(pid = %cell.pid(), "killed a process: {reason}");
    cell.doom(DiedReason::Killed(reason));
    // It may be slow to stop; its mail is not waited for.
    cell.close();
}
