use std::collections::VecDeque;
use std::sync::Mutex;
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
    /// Rung when the charge falls to half of the mark, and when the inbox closes.
    drained: Notify,
}

/// Whether a delivery left the inbox above the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Low,
    High,
}

/// The receiver took nothing although the inbox was above its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stalled {
    /// Bytes of remote messages that wait.
    pub(crate) charge: usize,
}

enum State {
    Open {
        queue: VecDeque<Envelope>,
        receiver: Option<Waker>,
        /// Bytes of remote messages that were delivered and not yet received.
        charge: usize,
        /// Bytes of remote messages that were ever received: it rises while the receiver makes progress.
        received: u64,
        /// Ring when the charge falls to this.
        ring_at: Option<usize>,
    },
    Closed,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let state =
            State::Open { queue: VecDeque::new(), receiver: None, charge: 0, received: 0, ring_at: None };
        Self { state: Mutex::new(state), drained: Notify::new() }
    }

    /// Queues `envelope`, or drops it when the inbox is closed.
    ///
    /// `high_water` is in bytes of remote messages.
    pub(crate) fn push(&self, envelope: Envelope, high_water: usize) -> Level {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open { queue, receiver, charge, .. } => {
                *charge += envelope.charge();
                queue.push_back(envelope);
                let level = if *charge > high_water { Level::High } else { Level::Low };
                let receiver = receiver.take();
                drop(state);
                if let Some(receiver) = receiver {
                    receiver.wake();
                }
                level
            }
            State::Closed => {
                drop(state);
                // Outside of the lock: a local message's own `Drop` may do anything.
                drop(envelope);
                Level::Low
            }
        }
    }

    /// Moves what has arrived to the end of `into`. Ready(false) when the inbox is closed.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, into: &mut VecDeque<Envelope>) -> Poll<bool> {
        match &mut *lock(&self.state) {
            State::Open { queue, receiver, .. } if queue.is_empty() => {
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
        let ring = match &mut *lock(&self.state) {
            State::Open { charge: total, received, ring_at, .. } => {
                *total = total.saturating_sub(charge);
                *received += charge as u64;
                ring_at.take_if(|mark| *total <= *mark).is_some()
            }
            State::Closed => false,
        };
        if ring {
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
            let before = match &mut *lock(&self.state) {
                State::Open { charge, received, ring_at, .. } if *charge > high_water / 2 => {
                    *ring_at = Some(high_water / 2);
                    *received
                }
                State::Open { .. } | State::Closed => return Ok(()),
            };
            if tokio::time::timeout(patience, rung).await.is_ok() {
                continue;
            }
            match &*lock(&self.state) {
                State::Open { charge, received, .. } if *received == before => {
                    return Err(Stalled { charge: *charge });
                }
                State::Open { .. } | State::Closed => {}
            }
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
