//! What a write comes to once it is decided.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use queenright_core::op::Stat;
use queenright_core::wire::Acl;
use queenright_core::{SessionId, Zxid};

use super::answer::Verdict;
use super::{ConnectionId, Owner, ServerId};

/// One entry of the log: it can be applied to any tree that is in the state of the one before it.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) zxid: Zxid,
    /// The wall clock of whoever decided it.
    pub(super) time_ms: i64,
    /// What happens to the tree, all of it or nothing. Empty for a write that failed and for the beginning of a
    /// session: they spend a zxid and nothing else.
    pub(super) changes: Vec<Change>,
    pub(super) session: SessionChange,
    /// Who waits for it; nobody for what the leader does by itself.
    pub(super) origin: Option<Origin>,
    /// What that one is told.
    pub(super) verdict: Verdict,
}

impl Transaction {
    /// What tells it apart from others, on a server whose clients did not ask for it.
    pub(super) fn hash_changes(&self, state: &mut impl Hasher) {
        self.zxid.hash(state);
        for change in &self.changes {
            std::mem::discriminant(change).hash(state);
            match change {
                Change::Create { path, data, owner, children_created, .. } => {
                    (path, data, owner, children_created).hash(state);
                }
                Change::Delete { path } => path.hash(state),
                Change::SetData { path, data, version } => (path, data, version).hash(state),
                Change::SetAcl { path, version, .. } => (path, version).hash(state),
                Change::SetCounter { path, children_created } => (path, children_created).hash(state),
                Change::Check => {}
            }
        }
        match self.session {
            SessionChange::None => {}
            SessionChange::Opened(session, _) => (true, session).hash(state),
            SessionChange::Closed(session) => (false, session).hash(state),
        }
    }
}

/// What a transaction does to the list of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionChange {
    None,
    Opened(SessionId, Duration),
    Closed(SessionId),
}

/// Where a request came from that only the leader can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) server: ServerId,
    pub(super) conn: ConnectionId,
    pub(super) ticket: Ticket,
}

/// Names such a request. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

/// One step of a transaction. It cannot fail any more.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create {
        /// With the sequence number.
        path: Arc<str>,
        data: Option<Arc<[u8]>>,
        acl: Arc<[Acl]>,
        owner: Owner,
        /// What the parent's counter of children is after it.
        children_created: i32,
    },
    Delete {
        path: Arc<str>,
    },
    SetData {
        path: Arc<str>,
        data: Option<Arc<[u8]>>,
        version: i32,
    },
    SetAcl {
        path: Arc<str>,
        acl: Arc<[Acl]>,
        version: i32,
    },
    /// The counter of children, set by the hand of a test.
    SetCounter {
        path: Arc<str>,
        children_created: i32,
    },
    /// A version that was as asked.
    Check,
}

/// What one change came to.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Created {
        path: Arc<str>,
        stat: Stat,
    },
    Deleted,
    DataSet {
        stat: Stat,
    },
    AclSet {
        stat: Stat,
    },
    /// Nothing that anybody is told.
    Checked,
}
