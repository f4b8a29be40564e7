//! What happens next: events in the order of their time, and of their scheduling where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use queenright_core::{Instant, Token};

use crate::zookeeper::ConnectionId;

/// Something that is going to happen. Small, for there are hundreds of thousands a second: what a message says
/// waits in the first-in-first-out queue of its connection or lane, and the event only says that its head is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The next message of this connection reaches the server.
    ToServer(ConnectionId),
    /// The next message of this connection reaches the client.
    ToClient(ConnectionId),
    /// The client hands the next input of a lane to the core.
    Deliver { node: u8, life: u32, lane: u8 },
    /// Something in the client has run out: a ping is due, an attempt took too long, the session is over.
    ClientWake { node: u8, life: u32 },
    /// The core's earliest deadline.
    CoreWake { node: u8, life: u32 },
    /// The application of a term has come to its end.
    Stopped { node: u8, life: u32, global: u8, token: Token },
    /// The server's earliest deadline.
    ServerWake,
    /// An outage is over.
    Mend,
    /// The servers elect a leader, if they have none.
    Election,
    /// A stale read's server has caught up, and sends the event that it owes.
    CaughtUp(u32),
    /// A fault of the plan.
    Fault(u32),
    /// A step of the workload.
    Action(u32),
    /// A paused node runs again, unless it was paused anew.
    Resume { node: u8, life: u32 },
    /// By now all globals are led.
    Led,
    /// A crashed node starts again.
    Restart { node: u8 },
    /// From now on nothing breaks.
    Heal,
    /// What outside hands had under way when the faults ended is taken away, too.
    Tidy,
    /// A look whether all has settled; the number of those before it in a row that found it so.
    Look(u32),
    /// The last checks.
    End,
}

/// The queue of events.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Instant, u64, Slot)>>,
    scheduled_count: u64,
}

impl Queue {
    /// Schedules an event. One for the past happens now, after what is due already.
    pub(super) fn at(&mut self, time: Instant, due: Due) {
        self.scheduled_count += 1;
        self.heap.push(Reverse((time, self.scheduled_count, Slot(due))));
    }

    /// The earliest event, and its time.
    pub(super) fn pop(&mut self) -> Option<(Instant, Due)> {
        self.heap.pop().map(|Reverse((time, _, Slot(due)))| (time, due))
    }
}

/// An event whose order never matters: the number before it is unique.
#[derive(Debug, PartialEq, Eq)]
struct Slot(Due);

impl Ord for Slot {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_happen_in_the_order_of_their_scheduling() {
        let mut queue = Queue::default();
        queue.at(Instant::from_millis(2), Due::Fault(0));
        queue.at(Instant::from_millis(1), Due::Fault(1));
        queue.at(Instant::from_millis(2), Due::Fault(2));
        let order: Vec<Due> = std::iter::from_fn(|| queue.pop()).map(|(_, due)| due).collect();
        assert_eq!(order, [Due::Fault(1), Due::Fault(0), Due::Fault(2)]);
    }
}
