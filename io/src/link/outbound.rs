use std::sync::Mutex;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::frame::{self, Address, Signal};
use crate::codec::EncodeError;
use crate::lock::lock;
use crate::mutation::{Guards, Mutation};
use crate::process::{Message, NodeId};

/// What waits for one peer: senders encode straight into one buffer, and the writer swaps it for an empty
/// one.
///
/// The memory of a peer that does not read is bounded: a message is taken while fewer than `high_water` bytes
/// wait, a signal always, up to [`SIGNALS_ROOM`] above that; then the link is cut, because a signal must not
/// be lost silently.
pub(crate) struct Outbound {
    peer: NodeId,
    guards: Guards,
    state: Mutex<State>,
    /// Rung for the one writer.
    ready: Notify,
    /// Rung for the senders that wait below the mark.
    space: Notify,
    stop: CancellationToken,
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// So many bytes wait that the sender has to.
    Full,
    /// This link is over: look for its successor.
    Closed,
    /// The message is at fault.
    Encode(EncodeError),
}

/// What the writer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Bytes to write.
    Bytes,
    /// Nothing yet.
    Nothing,
    /// Nothing, and never again.
    Finished,
}

enum State {
    Open(Vec<u8>),
    /// The goodbye is in the buffer.
    Finishing(Vec<u8>),
    Closed,
}

/// Room for signals above the high-water mark, in bytes. A peer that reads empties it at once.
const SIGNALS_ROOM: usize = 16 << 20;
/// A buffer that grew beyond this is not kept, in bytes.
const KEEP: usize = 4 << 20;

impl Outbound {
    pub(crate) fn new(peer: NodeId, guards: Guards) -> Self {
        Self {
            peer,
            guards,
            state: Mutex::new(State::Open(Vec::new())),
            ready: Notify::new(),
            space: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    pub(crate) fn peer(&self) -> &NodeId {
        &self.peer
    }

    /// Encodes a message for the peer, unless `high_water` bytes wait.
    pub(crate) fn push<T: Message>(
        &self,
        high_water: usize,
        len_max: usize,
        to: &Address,
        message: &T,
    ) -> Result<(), Refusal> {
        let mut state = lock(&self.state);
        let was_empty = match &mut *state {
            State::Open(buffer) if buffer.len() >= high_water => return Err(Refusal::Full),
            State::Open(buffer) => {
                let waiting = buffer.len();
                frame::append_message(buffer, len_max, to, message).map_err(Refusal::Encode)?;
                if self.guards.lack(Mutation::Overtaking) {
                    buffer.rotate_left(waiting);
                }
                waiting == 0
            }
            State::Finishing(_) | State::Closed => return Err(Refusal::Closed),
        };
        drop(state);
        if was_empty {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Encodes a signal for the peer, however much waits.
    pub(crate) fn push_signal(&self, high_water: usize, signal: &Signal) -> Result<(), Refusal> {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open(buffer) if buffer.len() < high_water.saturating_add(SIGNALS_ROOM) => {
                frame::append_signal(buffer, signal).map_err(Refusal::Encode)?;
            }
            State::Open(_) => {
                tracing::warn!(peer = %self.peer, "cut the link: too many signals wait for it");
                self.stop.cancel();
            }
            State::Finishing(_) | State::Closed => return Err(Refusal::Closed),
        }
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Completes when fewer than `high_water` bytes wait, or the link is over.
    pub(crate) async fn space(&self, high_water: usize) {
        loop {
            // Before the look, so that a ring between the look and the wait is not lost.
            let rung = self.space.notified();
            match &*lock(&self.state) {
                State::Open(buffer) if buffer.len() >= high_water => {}
                State::Open(_) | State::Finishing(_) | State::Closed => return,
            }
            rung.await;
        }
    }

    /// Swaps what waits for `empty`.
    pub(crate) fn take(&self, empty: &mut Vec<u8>) -> Taken {
        debug_assert!(empty.is_empty());
        if empty.capacity() > KEEP {
            *empty = Vec::new();
        }
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open(buffer) | State::Finishing(buffer) if !buffer.is_empty() => {
                std::mem::swap(buffer, empty)
            }
            State::Open(_) => return Taken::Nothing,
            State::Finishing(_) | State::Closed => return Taken::Finished,
        }
        drop(state);
        self.space.notify_waiters();
        Taken::Bytes
    }

    /// Completes when there may be something to take.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Says goodbye behind all that waits; nothing more is taken.
    pub(crate) fn finish(&self) {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Closed) {
            State::Open(mut buffer) => {
                frame::append_goodbye(&mut buffer);
                *state = State::Finishing(buffer);
            }
            State::Finishing(buffer) => *state = State::Finishing(buffer),
            State::Closed => {}
        }
        drop(state);
        self.ready.notify_one();
        self.space.notify_waiters();
    }

    /// Closes if nothing waits. Tells whether it is closed.
    pub(crate) fn close_if_idle(&self) -> bool {
        match &mut *lock(&self.state) {
            State::Open(buffer) if !buffer.is_empty() => false,
            state @ (State::Open(_) | State::Finishing(_) | State::Closed) => {
                *state = State::Closed;
                true
            }
        }
    }

    /// Drops what waits, and stops the writer. Tells how many bytes were lost.
    pub(crate) fn close(&self) -> usize {
        let closed = std::mem::replace(&mut *lock(&self.state), State::Closed);
        self.stop.cancel();
        self.space.notify_waiters();
        match closed {
            State::Open(buffer) | State::Finishing(buffer) => buffer.len(),
            State::Closed => 0,
        }
    }

    /// Completes when the link is to be cut.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        match &*lock(&self.state) {
            State::Open(buffer) | State::Finishing(buffer) => buffer.len(),
            State::Closed => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: usize = 100;
    const TO: Address = Address::Process(1);

    fn outbound() -> Outbound {
        Outbound::new("a:1@00000000000000000000000000000001".parse().unwrap(), Guards::default())
    }

    fn fill(outbound: &Outbound) {
        while outbound.push(MARK, 1 << 20, &TO, &1u64).is_ok() {}
    }

    #[tokio::test]
    async fn senders_wait_at_the_mark_and_go_on_after_a_swap() {
        let outbound = outbound();
        fill(&outbound);
        assert!(matches!(outbound.push(MARK, 1 << 20, &TO, &1u64), Err(Refusal::Full)));
        let waiting = outbound.waiting();
        assert!((MARK..MARK + 64).contains(&waiting), "{waiting}");

        let mut mine = Vec::new();
        let (_, taken) = tokio::join!(outbound.space(MARK), async { outbound.take(&mut mine) });
        assert_eq!((taken, mine.len()), (Taken::Bytes, waiting));
        outbound.push(MARK, 1 << 20, &TO, &1u64).unwrap();
    }

    #[test]
    fn signals_pass_the_mark_and_end_the_link_before_they_are_lost() {
        let outbound = outbound();
        fill(&outbound);
        let signal = Signal::Kill { target: 1, reason: "x".repeat(1000) };
        let mut sent = 0;
        while !outbound.stop.is_cancelled() {
            outbound.push_signal(MARK, &signal).unwrap();
            sent += 1;
        }
        assert!(sent > SIGNALS_ROOM / 1100, "{sent}");
        assert!(outbound.waiting() < MARK + SIGNALS_ROOM + 2000);
    }

    #[test]
    fn the_goodbye_is_the_last_frame() {
        let outbound = outbound();
        outbound.push(MARK, 1 << 20, &TO, &1u64).unwrap();
        outbound.finish();
        assert!(matches!(outbound.push(MARK, 1 << 20, &TO, &1u64), Err(Refusal::Closed)));
        let mut mine = Vec::new();
        assert_eq!(outbound.take(&mut mine), Taken::Bytes);
        assert!(mine.ends_with(&[0, 0, 0, 1, 1]));
        mine.clear();
        assert_eq!(outbound.take(&mut mine), Taken::Finished);
    }
}
