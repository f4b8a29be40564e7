//! The connections of one server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use queenright_core::SessionId;
use queenright_core::wire::AuthId;

use super::ConnectionId;

/// A connection that a session uses.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) session: SessionId,
    /// What was negotiated when it connected; whatever comes over it renews the session for so long.
    pub(super) timeout: Duration,
    /// They belong to the connection: the next one of the session has to prove them again.
    pub(super) identities: Vec<AuthId>,
}

/// All connections that are open and have a session. A session has one at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    by_id: BTreeMap<ConnectionId, Connection>,
    by_session: BTreeMap<SessionId, ConnectionId>,
}

impl Connection {
    /// A connection from `address`, which is its only identity so far.
    pub(super) fn new(session: SessionId, timeout: Duration, address: IpAddr) -> Self {
        Self { session, timeout, identities: vec![AuthId::new("ip", &address.to_string())] }
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

    /// Panics when the indexes differ, or a session that is not `live` has a connection.
    pub(super) fn check_invariants(&self, live: impl Fn(SessionId) -> bool) {
        assert_eq!(
            self.by_id.len(),
            self.by_session.len(),
            "a session has several connections, or a dead one"
        );
        for (id, Connection { session, .. }) in &self.by_id {
            assert!(live(*session), "{id:?} is open, and its session {session} is over");
            assert_eq!(self.of(*session), Some(*id), "the index of {session} names another connection");
        }
    }
}
