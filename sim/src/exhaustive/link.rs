//! What is between a node and the server: a connection, first in, first out each way, but that answers may overtake events.

use queenright_core::op::{Outcome, WatchEvent};
use queenright_core::wire::ConnectResponse;
use queenright_core::{SessionEpoch, SessionId, Zxid};

/// Message numbers are those of the space that interned them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) state: State,
    /// The session that the node believes to have.
    pub(super) session: Option<ConnectResponse>,
    pub(super) epoch: SessionEpoch,
    /// The last transaction that the node heard of: a server that is behind it is not for this node.
    pub(super) seen: Zxid,
    /// How many requests the node has yet to be told of that nobody can tell what became of them.
    pub(super) lost: u8,
    /// Requests under way.
    pub(super) up: Vec<u32>,
    /// What the server said, in its order.
    pub(super) down: Vec<u32>,
    /// What a life that crashed has left behind, or this one given up.
    pub(super) orphan: Option<SessionId>,
    /// Whether it leads to a server that is behind what the node has seen.
    pub(super) is_astray: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Nobody listens at this end; the server may not have noticed, and what is under way to it may still arrive.
    #[default]
    Down,
    Up,
    /// Up, and nothing moves.
    Stalled,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Said {
    Answer {
        zxid: Zxid,
        outcome: Outcome,
    },
    Event(WatchEvent),
    /// The end of the connection.
    Close,
}
