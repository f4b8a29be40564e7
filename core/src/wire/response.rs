//! What a server answers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::op::Stat;
use crate::wire::{Acl, AuthId, ErrorCode};

/// The answer to a request that succeeded, without its header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// To a create of type 1.
    Create {
        /// The path, sequence number included.
        path: String,
    },
    /// To the other three creates.
    Create2 {
        /// The path, sequence number included.
        path: String,
        /// The stat.
        stat: Stat,
    },
    /// No body.
    Delete,
    /// To exists.
    Exists {
        /// The stat.
        stat: Stat,
    },
    /// To getData.
    GetData {
        /// The data.
        data: Option<Vec<u8>>,
        /// The stat.
        stat: Stat,
    },
    /// To setData.
    SetData {
        /// The stat after it.
        stat: Stat,
    },
    /// To getACL.
    GetAcl {
        /// The list; without admin permission, digests are blanked.
        acl: Vec<Acl>,
        /// The stat.
        stat: Stat,
    },
    /// To setACL.
    SetAcl {
        /// The stat after it.
        stat: Stat,
    },
    /// To getChildren.
    GetChildren {
        /// The names, in any order.
        children: Vec<String>,
    },
    /// To getChildren2.
    GetChildren2 {
        /// The names, in any order.
        children: Vec<String>,
        /// The parent's stat.
        stat: Stat,
    },
    /// To sync.
    Sync {
        /// The path of the request.
        path: String,
    },
    /// No body.
    Ping,
    /// To multi. A transaction that *failed* is answered so, too: all its results are errors then.
    Multi(Vec<MultiResult>),
    /// To multiRead.
    MultiRead(Vec<MultiReadResult>),
    /// No body: this connection has such a watch.
    CheckWatches,
    /// No body.
    RemoveWatches,
    /// The body is the number 0.
    AddWatch,
    /// No body.
    Auth,
    /// To both kinds of setWatches. No body.
    SetWatches,
    /// To getEphemerals.
    GetEphemerals {
        /// Their paths, in any order.
        paths: Vec<String>,
    },
    /// To getAllChildrenNumber.
    GetAllChildrenNumber {
        /// How many descendants there are.
        count: i32,
    },
    /// To whoAmI.
    WhoAmI {
        /// The identities, without secrets.
        identities: Vec<AuthId>,
    },
    /// No body. The server closes the connection after it.
    CloseSession,
}

/// The result of one write of a multi.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MultiResult {
    /// Created; to a create of type 1.
    Create {
        /// The path, sequence number included.
        path: String,
    },
    /// Created; to the other three creates.
    Create2 {
        /// The path, sequence number included.
        path: String,
        /// The stat right after this write.
        stat: Stat,
    },
    /// Deleted.
    Delete,
    /// The data was replaced.
    SetData {
        /// The stat right after this write.
        stat: Stat,
    },
    /// The version was as asked.
    Check,
    /// The transaction failed: [`ErrorCode::OK`] before the write that failed, its code,
    /// [`ErrorCode::RUNTIME_INCONSISTENCY`] after it.
    Error(ErrorCode),
}

/// The result of one read of a multiRead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MultiReadResult {
    /// Data and stat.
    GetData {
        /// The data.
        data: Option<Vec<u8>>,
        /// The stat.
        stat: Stat,
    },
    /// The names of the children.
    GetChildren {
        /// In any order.
        children: Vec<String>,
    },
    /// This read failed; the others did not for that.
    Error(ErrorCode),
}
