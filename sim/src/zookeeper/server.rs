//! One server of an ensemble.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use queenright_core::{Instant, SessionId};

use super::connections::Connections;
use super::leader::Leader;
use super::quorum::wall_clock_ms;
use super::replica::Replica;
use super::sessions::{Owner, Term};
use super::transaction::Ticket;
use super::{ConnectionId, Profile, ServerId};

/// So many bits of when a server started are in its sessions' ids: below those of the server's own, above a counter.
const START_SHIFT: u32 = 16;
const START_MASK: i64 = (1 << 40) - 1;

/// What a server has, and what it does in the ensemble.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) replica: Replica,
    pub(super) connections: Connections,
    pub(super) state: State,
    /// How much of the log it has applied.
    pub(super) applied: u64,
    /// How much of the log it knows to be committed; it applies that as soon as it is not held.
    pub(super) known: u64,
    /// It applies nothing for the time being.
    pub(super) is_held: bool,
    /// How many sessions began here.
    opened: i64,
    /// What their ids begin with.
    session_base: i64,
}

/// What a server does.
///
/// ```text
/// state       event                                       next
/// Leading     has no majority any more, another leads     Looking
/// Following   does not hear of its leader, another leads  Looking
/// Looking     the leader can be reached                   Following
/// any         crash                                       Down
/// Down        start                                       Looking; alone, Leading
/// ```
#[derive(Clone, Debug)]
pub(super) enum State {
    Leading(Box<Leader>),
    Following(Following),
    /// It serves nobody: it looks for a leader.
    Looking,
    Down,
}

/// A server that follows.
#[derive(Clone, Debug)]
pub(super) struct Following {
    pub(super) leader: ServerId,
    pub(super) term: Term,
    pub(super) heard_at: Instant,
    /// The sessions that were heard of since the leader asked last.
    pub(super) touched: BTreeMap<SessionId, Duration>,
    /// Syncs that the leader has answered, and how much must be applied before the client is.
    pub(super) synced: VecDeque<(u64, ConnectionId, Ticket)>,
}

impl Server {
    /// A server without history, which looks for a leader.
    pub(super) fn new(id: ServerId, profile: Profile, now: Instant) -> Self {
        Self {
            id,
            replica: Replica::new(profile),
            connections: Connections::default(),
            state: State::Looking,
            applied: 0,
            known: 0,
            is_held: false,
            opened: 0,
            session_base: (i64::from(id.0) << 56) | ((wall_clock_ms(now) & START_MASK) << START_SHIFT),
        }
    }

    /// A new session's id: unique in the ensemble, since it begins with the server's, and never with 0x80 or 0xff, which
    /// mark containers and TTL nodes. Behind that comes when the server started, as in ZooKeeper's ids: a client of a
    /// server that was there before must not find its session with somebody else.
    pub(super) fn next_session(&mut self) -> SessionId {
        self.opened += 1;
        SessionId(self.session_base + self.opened)
    }

    /// How many sessions began here.
    pub(super) const fn opened(&self) -> i64 {
        self.opened
    }

    pub(super) fn leader(&self) -> Option<&Leader> {
        match &self.state {
            State::Leading(leader) => Some(leader),
            State::Following(_) | State::Looking | State::Down => None,
        }
    }

    pub(super) fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.state {
            State::Leading(leader) => Some(leader),
            State::Following(_) | State::Looking | State::Down => None,
        }
    }

    pub(super) fn following(&self) -> Option<&Following> {
        match &self.state {
            State::Following(following) => Some(following),
            State::Leading(_) | State::Looking | State::Down => None,
        }
    }

    pub(super) fn following_mut(&mut self) -> Option<&mut Following> {
        match &mut self.state {
            State::Following(following) => Some(following),
            State::Leading(_) | State::Looking | State::Down => None,
        }
    }

    /// In whose name it asks a leader for something; `None` when it serves nobody.
    pub(super) fn as_owner(&self) -> Option<Owner> {
        let term = match &self.state {
            State::Leading(leader) => leader.term,
            State::Following(following) => following.term,
            State::Looking | State::Down => return None,
        };
        Some(Owner { server: self.id, term })
    }

    /// A client was heard of.
    pub(super) fn touch(&mut self, now: Instant, session: SessionId, timeout: Duration) {
        match &mut self.state {
            State::Leading(leader) => {
                leader.sessions.touch(now, session, timeout);
            }
            State::Following(following) => {
                following.touched.insert(session, timeout);
            }
            State::Looking | State::Down => {}
        }
    }
}
