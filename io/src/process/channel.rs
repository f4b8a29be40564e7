use std::any::type_name;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::error::SendError;
use super::id::ProcessId;
use super::inbox::Inbox;
use super::message::{Envelope, Message};
use super::node::Inner;
use crate::link::Address;

/// The end of a typed channel that can be copied, and sent to other processes and nodes.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SendPort<T> {
    process: ProcessId,
    channel: u64,
    #[serde(skip)]
    of: PhantomData<fn(T)>,
}

/// The end of a typed channel at which messages arrive. It belongs to the process that made it and is closed
/// by its death; dropping it drops what waits in it.
pub struct ReceivePort<T> {
    cell: Arc<Cell>,
    inbox: Arc<Inbox>,
    channel: u64,
    held: Held,
    of: PhantomData<fn() -> T>,
}

/// Behind a mutex that is never locked, as in `Process`.
type Held = std::sync::Mutex<VecDeque<Envelope>>;

impl<T> SendPort<T> {
    /// The process that receives.
    #[must_use]
    pub fn process(&self) -> &ProcessId {
        &self.process
    }
}

impl<T: Message> ReceivePort<T> {
    /// The next message; `None` when the process that made the channel is over. Cancel-safe.
    pub async fn receive(&mut self) -> Option<T> {
        tokio::task::consume_budget().await;
        let held = self.held.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            while let Some(envelope) = held.pop_front() {
                self.inbox.received(envelope.charge());
                if !envelope.is::<T>() {
                    tracing::warn!(
                        pid = %self.cell.pid(),
                        "dropped a message that is not a {}; is its sender of another build?",
                        type_name::<T>()
                    );
                } else if let Some(message) = envelope.into_message() {
                    return Some(message);
                }
            }
            if !poll_fn(|cx| self.inbox.poll_take(cx, held)).await {
                return None;
            }
        }
    }

    /// As [`receive`](Self::receive), for at most `timeout`; zero looks at what is there.
    pub async fn receive_timeout(&mut self, timeout: std::time::Duration) -> Option<T> {
        tokio::time::timeout(timeout, self.receive()).await.ok().flatten()
    }
}

impl<T> Drop for ReceivePort<T> {
    fn drop(&mut self) {
        self.cell.remove_channel(self.channel);
    }
}

pub(super) fn open<T>(node: &Inner, cell: &Arc<Cell>) -> (SendPort<T>, ReceivePort<T>) {
    let channel = node.next_serial();
    let send = SendPort { process: cell.pid().clone(), channel, of: PhantomData };
    let inbox = cell.add_channel(channel);
    let receive = ReceivePort { cell: cell.clone(), inbox, channel, held: Held::default(), of: PhantomData };
    (send, receive)
}

pub(super) async fn send<T: Message>(node: &Inner, to: &SendPort<T>, message: T) -> Result<(), SendError> {
    let (process, channel) = (to.process.number(), to.channel);
    if !node.is_local(&to.process) {
        let address = Address::Channel { process, channel };
        return Ok(node.links.send(to.process.node(), &address, message).await?);
    }
    if let Some(inbox) = node.cell(process).and_then(|cell| cell.channel(channel)) {
        inbox.push(Envelope::local(message), usize::MAX);
    }
    Ok(())
}

impl<T> Clone for SendPort<T> {
    fn clone(&self) -> Self {
        Self { process: self.process.clone(), channel: self.channel, of: PhantomData }
    }
}

impl<T> PartialEq for SendPort<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.process, self.channel) == (&other.process, other.channel)
    }
}

impl<T> Eq for SendPort<T> {}

impl<T> fmt::Debug for SendPort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendPort<{}>({}, {})", type_name::<T>(), self.process, self.channel)
    }
}

impl<T> fmt::Debug for ReceivePort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceivePort<{}>({}, {})", type_name::<T>(), self.cell.pid(), self.channel)
    }
}
