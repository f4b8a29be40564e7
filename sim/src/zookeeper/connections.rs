//! The connections of one server.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use queenright_core::SessionId;
use queenright_core::wire::{AuthId, Request};

use super::ConnectionId;
use super::transaction::Ticket;

/// A connection that a session uses, or will.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) session: SessionId,
    /// What was negotiated when it connected; whatever comes over it renews the session for so long.
    pub(super) timeout: Duration,
    /// They belong to the connection: the next one of the session has to prove them again.
    pub(super) identities: Arc<[AuthId]>,
    pub(super) phase: Phase,
}

/// How far a connection is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The leader has to say whether there is such a session.
    Opening {
        ticket: Ticket,
        /// As the client asked.
        read_only: Option<bool>,
        /// What the client sent without waiting for the answer.
        early: VecDeque<(i32, Request)>,
    },
    /// Requests are served, in their order. The first of those that wait, if there is one, is at the leader.
    Open { waiting: VecDeque<Waiting> },
}

/// A request that is not answered yet.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// The leader has it.
    ForLeader { ticket: Ticket, asked: Asked },
    /// It could be served, but for those before it. Who asks was settled when it came.
    ForOthers { xid: i32, request: Request, identities: Arc<[AuthId]> },
}

/// What the leader was asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Write { xid: i32 },
    Sync { xid: i32, path: String },
    Close { xid: i32 },
}

/// All connections that are open and have a session. A session has one at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    by_id: BTreeMap<ConnectionId, Connection>,
    by_session: BTreeMap<SessionId, ConnectionId>,
}

impl Connection {
    /// A connection from `address`, which is its only identity so far.
    pub(super) fn new(session: SessionId, timeout: Duration, address: IpAddr, phase: Phase) -> Self {
        Self { session, timeout, identities: [AuthId::new("ip", &address.to_string())].into(), phase }
    }
}

impl Phase {
    /// Nothing waits.
    pub(super) const fn open() -> Self {
        Self::Open { waiting: VecDeque::new() }
    }
}

impl Connection {
    /// Nothing waits on it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.phase, Phase::Open { waiting } if waiting.is_empty())
    }
}

impl Connections {
    /// Adds a connection whose session has none.
    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.by_session.insert(connection.session, id);
        self.by_id.insert(id, connection);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.by_id.remove(&id)?;
        self.by_session.remove(&connection.session);
        Some(connection)
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.by_id.get_mut(&id)
    }

    /// The connection that `session` uses.
    pub(super) fn of(&self, session: SessionId) -> Option<ConnectionId> {
        self.by_session.get(&session).copied()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.by_id.iter().map(|(id, connection)| (*id, connection))
    }

    /// The requests that wait on the connection `id`, once it is open.
    pub(super) fn waiting(&mut self, id: ConnectionId) -> Option<&mut VecDeque<Waiting>> {
        match &mut self.by_id.get_mut(&id)?.phase {
            Phase::Open { waiting } => Some(waiting),
            Phase::Opening { .. } => None,
        }
    }

    /// Panics when the indexes differ, or a session that is not `live` has a connection.
    pub(super) fn check_invariants(&self, live: impl Fn(SessionId) -> bool) {
        assert_eq!(
            self.by_id.len(),
            self.by_session.len(),
            "a session has several connections, or a dead one"
        );
        for (id, Connection { session, phase, .. }) in &self.by_id {
            assert_eq!(self.of(*session), Some(*id), "the index of {session} names another connection");
            match phase {
                Phase::Opening { .. } => {}
                Phase::Open { waiting } => {
                    assert!(live(*session), "{id:?} is open, and its session {session} is over");
                    assert!(
                        matches!(waiting.front(), None | Some(Waiting::ForLeader { .. })),
                        "a request on {id:?} waits for nobody"
                    );
                }
            }
        }
    }
}
