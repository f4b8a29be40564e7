use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::message::Envelope;
use crate::lock::lock;

/// The queue through which messages reach a process or a channel: many senders, one receiver.
///
/// Local messages are not bounded. What other nodes sent is counted until it is received: beyond the
/// high-water mark the link that delivers it stops reading until the receiver catches up.
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Bytes of remote messages that were delivered and not yet received.
    charge: AtomicUsize,
    /// Bytes of remote messages that were ever received: it rises while the receiver makes progress.
    received: AtomicU64,
    /// Ring when the charge falls below this; 0 when nobody waits for that.
    ring_below: AtomicUsize,
    /// Rung when the charge falls to half of the mark, and when the inbox closes.
    drained: Notify,
}

/// Whether a delivery left the inbox above the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Low,
    High,
}

/// What an offer leaves to be done, outside of whatever locks the caller holds: a waker and a message's own `Drop` may
/// do anything.
#[must_use]
pub(crate) struct Offered {
    pub(crate) level: Level,
    receiver: Option<Waker>,
    /// The inbox was closed.
    refused: Option<Envelope>,
}

/// The receiver took nothing although the inbox was above its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stalled {
    /// Bytes of remote messages that wait.
    pub(crate) charge: usize,
}

enum State {
    Open { queue: VecDeque<Envelope>, receiver: Option<Waker> },
    Closed,
}

impl Offered {
    /// Wakes the receiver.
    pub(crate) fn finish(self) -> Level {
        if let Some(receiver) = self.receiver {
            receiver.wake();
        }
        drop(self.refused);
        self.level
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::Open { queue: VecDeque::new(), receiver: None }),
            charge: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            ring_below: AtomicUsize::new(0),
            drained: Notify::new(),
        }
    }

    /// Queues `envelope`, or drops it when the inbox is closed.
    ///
    /// `high_water` is in bytes of remote messages.
    pub(crate) fn push(&self, envelope: Envelope, high_water: usize) -> Level {
        self.offer(envelope, high_water).finish()
    }

    /// As [`push`](Self::push), for callers that hold locks: what may run foreign code is left to them.
    pub(crate) fn offer(&self, envelope: Envelope, high_water: usize) -> Offered {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open { queue, receiver } => {
                let charge = match envelope.charge() {
                    0 => 0,
                    more => self.charge.fetch_add(more, Ordering::SeqCst) + more,
                };
                queue.push_back(envelope);
                let level = if charge > high_water { Level::High } else { Level::Low };
                Offered { level, receiver: receiver.take(), refused: None }
            }
            State::Closed => Offered { level: Level::Low, receiver: None, refused: Some(envelope) },
        }
    }

    /// Moves what has arrived to the end of `into`. Ready(false) when the inbox is closed.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, into: &mut VecDeque<Envelope>) -> Poll<bool> {
        match &mut *lock(&self.state) {
            State::Open { queue, receiver } if queue.is_empty() => {
                match receiver {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *receiver = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Open { queue, .. } => {
                if into.is_empty() {
                    std::mem::swap(queue, into);
                } else {
                    into.append(queue);
                }
                Poll::Ready(true)
            }
            State::Closed => Poll::Ready(false),
        }
    }

    /// Moves what has arrived to the end of `into`, without waiting for more.
    pub(crate) fn take(&self, into: &mut VecDeque<Envelope>) {
        match &mut *lock(&self.state) {
            State::Open { queue, .. } => into.append(queue),
            State::Closed => {}
        }
    }

    /// A message of this `charge` was received.
    pub(crate) fn received(&self, charge: usize) {
        if charge == 0 {
            return;
        }
        self.received.fetch_add(charge as u64, Ordering::Relaxed);
        let left = self.charge.fetch_sub(charge, Ordering::SeqCst) - charge;
        if left < self.ring_below.load(Ordering::SeqCst) {
            self.ring_below.store(0, Ordering::SeqCst);
            self.drained.notify_waiters();
        }
    }

    /// Completes when at most half of `high_water` is left, or when the inbox is closed.
    ///
    /// # Errors
    /// When nothing was received for `patience`.
    pub(crate) async fn room(&self, high_water: usize, patience: Duration) -> Result<(), Stalled> {
        loop {
            // Before the look, so that a ring between the look and the wait is not lost.
            let rung = self.drained.notified();
            let before = self.received.load(Ordering::Relaxed);
            // Before the look, too: whoever receives after it sees the mark.
            self.ring_below.store(high_water / 2 + 1, Ordering::SeqCst);
            if self.is_closed() || self.charge.load(Ordering::SeqCst) <= high_water / 2 {
                return Ok(());
            }
            if tokio::time::timeout(patience, rung).await.is_ok() {
                continue;
            }
            if !self.is_closed() && self.received.load(Ordering::Relaxed) == before {
                return Err(Stalled { charge: self.charge.load(Ordering::SeqCst) });
            }
        }
    }

    fn is_closed(&self) -> bool {
        match &*lock(&self.state) {
            State::Open { .. } => false,
            State::Closed => true,
        }
    }

    /// Drops what is queued, and all that comes.
    pub(crate) fn close(&self) {
        let closed = std::mem::replace(&mut *lock(&self.state), State::Closed);
        self.drained.notify_waiters();
        match closed {
            State::Open { queue, receiver, .. } => {
                if let Some(receiver) = receiver {
                    receiver.wake();
                }
                drop(queue);
            }
            State::Closed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::message::Fingerprint;
    use bytes::Bytes;

    const MARK: usize = 1000;
    const PATIENCE: Duration = Duration::from_secs(10);

    fn remote(len: usize) -> Envelope {
        Envelope::remote(Fingerprint(1), Bytes::from(vec![0; len]))
    }

    fn taken(inbox: &Inbox) -> VecDeque<Envelope> {
        let mut into = VecDeque::new();
        inbox.take(&mut into);
        into
    }

    #[tokio::test(start_paused = true)]
    async fn room_comes_with_receiving() {
        let inbox = Inbox::new();
        assert_eq!(inbox.push(remote(900), MARK), Level::Low);
        assert_eq!(inbox.push(remote(900), MARK), Level::High);
        let receive = async {
            for envelope in taken(&inbox) {
                tokio::time::sleep(PATIENCE * 2 / 3).await;
                inbox.received(envelope.charge());
            }
        };
        let (room, ()) = tokio::join!(inbox.room(MARK, PATIENCE), receive);
        assert_eq!(room, Ok(()), "each message came within the patience");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_takes_nothing_is_told_from_a_slow_one() {
        let inbox = Inbox::new();
        let first = remote(1900);
        let charge = first.charge();
        inbox.push(first, MARK);
        // Moved, but not received: it occupies memory still.
        let _held = taken(&inbox);
        assert_eq!(inbox.room(MARK, PATIENCE).await, Err(Stalled { charge }));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_frees_whoever_waits() {
        let inbox = Inbox::new();
        inbox.push(remote(1900), MARK);
        let close = async {
            tokio::time::sleep(PATIENCE / 2).await;
            inbox.close();
        };
        let (room, ()) = tokio::join!(inbox.room(MARK, PATIENCE), close);
        assert_eq!(room, Ok(()));
        assert_eq!(inbox.push(remote(1900), MARK), Level::Low, "dropped");
    }

    #[test]
    fn local_messages_are_free() {
        let inbox = Inbox::new();
        for _ in 0..100 {
            assert_eq!(inbox.push(Envelope::local([0u8; 32]), 1), Level::Low);
        }
        assert_eq!(taken(&inbox).len(), 100);
    }
}
