//! How a connection begins, and what a server says unasked.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{SessionId, Zxid};
use crate::op::Change;

/// The first frame of a connection, from the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectRequest {
    /// 0; servers accept any.
    pub protocol_version: i32,
    /// The highest zxid that the client has seen: a server that is behind it refuses the connection.
    pub last_zxid_seen: Zxid,
    /// The session timeout that the client would like, in milliseconds.
    pub timeout_ms: i32,
    /// The session to reattach to; `SessionId(0)` for a new one.
    pub session: SessionId,
    /// The password of that session; anything for a new one.
    pub password: Option<Vec<u8>>,
    /// Whether a read-only server would do. Clients older than 3.4 send no such byte, and get none back.
    pub read_only: Option<bool>,
}

/// The first frame of a connection, from the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectResponse {
    /// 0.
    pub protocol_version: i32,
    /// The session timeout that holds, in milliseconds; 0 when the session is over.
    pub timeout_ms: i32,
    /// The session; `SessionId(0)` when the one asked for is over.
    pub session: SessionId,
    /// What reattaches to the session later: 16 bytes.
    pub password: Vec<u8>,
    /// Whether the server is read-only; present when the client sent that byte.
    pub read_only: Option<bool>,
}

/// A watch that fired: the body of a notification, and the zxid of its header. The state field of the wire is left
/// out: servers always write 3, connected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchedEvent {
    /// What happened.
    pub change: Change,
    /// To which znode.
    pub path: String,
    /// In which transaction; −1 from servers older than 3.9, and for changes that setWatches reports late.
    pub zxid: Zxid,
}

impl ConnectRequest {
    /// Asks for a new session.
    #[must_use]
    pub const fn new_session(timeout_ms: i32) -> Self {
        Self {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms,
            session: SessionId(0),
            password: None,
            read_only: Some(false),
        }
    }

    /// Asks for the session that `established` stands for.
    #[must_use]
    pub fn reattach(established: &ConnectResponse, last_zxid_seen: Zxid) -> Self {
        Self {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms: established.timeout_ms,
            session: established.session,
            password: Some(established.password.clone()),
            read_only: Some(false),
        }
    }
}

impl ConnectResponse {
    /// Whether the server says that the session asked for is over, or that the password is wrong: it does not tell
    /// these apart.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.timeout_ms <= 0
    }
}
