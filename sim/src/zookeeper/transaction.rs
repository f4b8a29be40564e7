//! What a write comes to once it is decided.

use std::sync::Arc;

use queenright_core::Zxid;
use queenright_core::op::Stat;
use queenright_core::wire::Acl;

use super::Owner;

/// One entry of the server's log: it can be applied to any tree that is in the state of the one before it.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) zxid: Zxid,
    /// The wall clock of whoever decided it.
    pub(super) time_ms: i64,
    /// What happens to the tree, all of it or nothing. Empty for a write that failed and for the beginning of a
    /// session: they spend a zxid and nothing else.
    pub(super) changes: Vec<Change>,
}

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
    /// A version that was as asked.
    Check,
}

/// What one change came to.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Created { path: Arc<str>, stat: Stat },
    Deleted,
    DataSet { stat: Stat },
    AclSet { stat: Stat },
    Checked,
}
