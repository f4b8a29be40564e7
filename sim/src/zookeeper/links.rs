//! What servers say to each other, and the links over which they do.
//!
//! A link is one direction between two servers: first in, first out, slow if the embedder wants it so. One that is cut
//! holds what is sent until it is healed, as a transport does that sends again what was lost; but whoever has given the
//! other up in the meantime does not listen any more: each message belongs to a [`Term`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use queenright_core::{Instant, SessionId};

use super::ConnectionId;
use super::ServerId;
use super::leader::Submission;
use super::sessions::Term;
use super::transaction::Ticket;

/// What one server tells another.
#[derive(Clone, Debug)]
pub(super) enum Message {
    ToLeader(ToLeader),
    ToFollower(ToFollower),
}

/// From a follower.
#[derive(Clone, Debug)]
pub(super) enum ToLeader {
    /// What a client wants and only the leader can decide.
    Submit(Submission),
    /// A client has come back; is its session still there?
    Validate { conn: ConnectionId, ticket: Ticket, session: SessionId, timeout: Duration },
    /// A client wants all that is committed by now.
    Sync { conn: ConnectionId, ticket: Ticket },
    /// It has all proposals up to this one, in the numbering of the log.
    Ack { proposed: u64 },
    /// The answer to a ping: the sessions that were heard of since the last one.
    Touched(BTreeMap<SessionId, Duration>),
    /// It follows no longer.
    Left,
}

/// From a leader.
#[derive(Clone, Debug)]
pub(super) enum ToFollower {
    /// The leader would like to commit all up to this one.
    Propose {
        proposed: u64,
    },
    /// All up to this one is committed.
    Commit {
        committed: u64,
    },
    Ping,
    Validated {
        conn: ConnectionId,
        ticket: Ticket,
        valid: bool,
    },
    Synced {
        conn: ConnectionId,
        ticket: Ticket,
    },
    /// It leads no longer, or has given this follower up.
    Dropped,
}

/// A message under way.
#[derive(Clone, Debug)]
struct Envelope {
    due: Instant,
    /// Orders what is due at the same time on different links.
    number: u64,
    term: Term,
    message: Message,
}

/// When something arrives, in which order, and on which link.
type Arrival = (Instant, u64, (ServerId, ServerId));

#[derive(Clone, Debug, Default)]
struct Link {
    is_cut: bool,
    delay: Duration,
    /// What bounds it: a server that hears nothing gives up after `sync_limit`, and what it waited for is dropped.
    queue: VecDeque<Envelope>,
}

impl Link {
    fn arrival(&self, pair: (ServerId, ServerId)) -> Option<Arrival> {
        let front = self.queue.front().filter(|_| !self.is_cut)?;
        Some((front.due, front.number, pair))
    }
}

/// All links of an ensemble.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// By sender and receiver.
    links: BTreeMap<(ServerId, ServerId), Link>,
    /// What arrives next on each link that is not cut.
    next: BTreeSet<Arrival>,
    sent_count: u64,
}

impl Links {
    pub(super) fn new(servers: u8) -> Self {
        let ids = || (1..=servers).map(ServerId);
        let pairs = ids().flat_map(|from| ids().filter(move |to| *to != from).map(move |to| (from, to)));
        Self {
            links: pairs.map(|pair| (pair, Link::default())).collect(),
            next: BTreeSet::new(),
            sent_count: 0,
        }
    }

    pub(super) fn send(&mut self, now: Instant, from: ServerId, to: ServerId, term: Term, message: Message) {
        self.sent_count += 1;
        let number = self.sent_count;
        let link = self.link(from, to);
        let due = now.after(link.delay);
        let due = link.queue.back().map_or(due, |last| due.max(last.due));
        let is_next = link.queue.is_empty() && !link.is_cut;
        link.queue.push_back(Envelope { due, number, term, message });
        if is_next {
            self.next.insert((due, number, (from, to)));
        }
    }

    /// When the next message arrives.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.next.first().map(|(due, _, _)| *due)
    }

    /// Takes the next message: from whom, to whom, in which term.
    pub(super) fn receive(&mut self) -> Option<(ServerId, ServerId, Term, Message)> {
        let (_, _, (from, to)) = self.next.pop_first()?;
        let link = self.link(from, to);
        let Envelope { term, message, .. } = link.queue.pop_front()?;
        let after = link.arrival((from, to));
        self.next.extend(after);
        Some((from, to, term, message))
    }

    /// Whether both can hear each other.
    pub(super) fn can_talk(&self, one: ServerId, other: ServerId) -> bool {
        let is_open = |pair| self.links.get(&pair).is_none_or(|link| !link.is_cut);
        is_open((one, other)) && is_open((other, one))
    }

    /// They begin anew: what was under way between them is lost.
    pub(super) fn reset(&mut self, one: ServerId, other: ServerId) {
        for (from, to) in [(one, other), (other, one)] {
            self.change(from, to, |link| link.queue.clear());
        }
    }

    pub(super) fn set_cut(&mut self, from: ServerId, to: ServerId, is_cut: bool) {
        self.change(from, to, |link| link.is_cut = is_cut);
    }

    pub(super) fn set_delay(&mut self, from: ServerId, to: ServerId, delay: Duration) {
        self.link(from, to).delay = delay;
    }

    /// Changes a link in a way that may change what arrives next on it.
    fn change(&mut self, from: ServerId, to: ServerId, change: impl FnOnce(&mut Link)) {
        let link = self.link(from, to);
        let before = link.arrival((from, to));
        change(link);
        let after = link.arrival((from, to));
        if let Some(before) = before {
            self.next.remove(&before);
        }
        self.next.extend(after);
    }

    /// Panics when there is no such link.
    fn link(&mut self, from: ServerId, to: ServerId) -> &mut Link {
        let Some(link) = self.links.get_mut(&(from, to)) else {
            panic!("there is no link from {from:?} to {to:?}")
        };
        link
    }
}
