//! ZooKeeper operations as data, and what can come back.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{SessionId, Zxid};
use crate::path::Path;

/// One operation that the driver sends for the core.
///
/// The access control list of a created znode is the driver's business: it is the same for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Create a znode.
    Create {
        /// Where; the server appends ten digits when the mode is sequential.
        path: Path,
        /// Its data.
        data: Vec<u8>,
        /// Its kind.
        mode: CreateMode,
    },
    /// Delete a znode without children.
    Delete {
        /// Which.
        path: Path,
        /// At which data version.
        version: Version,
    },
    /// Replace a znode's data.
    SetData {
        /// Which.
        path: Path,
        /// By what.
        data: Vec<u8>,
        /// At which data version.
        version: Version,
    },
    /// Read data and stat; with `watch`, a one-shot data watch is left when the znode exists.
    GetData {
        /// Which.
        path: Path,
        /// Whether to leave a watch.
        watch: bool,
    },
    /// Read the stat; with `watch`, a one-shot watch is left whether the znode exists or not.
    Exists {
        /// Which.
        path: Path,
        /// Whether to leave a watch.
        watch: bool,
    },
    /// Read the names of the children and the stat; with `watch`, a one-shot child watch is left.
    GetChildren {
        /// Whose.
        path: Path,
        /// Whether to leave a watch.
        watch: bool,
    },
    /// Arm a persistent recursive watch (ZooKeeper 3.6 or newer). The znode need not exist.
    AddWatch {
        /// On which znode and everything below it.
        path: Path,
    },
    /// Give up a watch that this client armed.
    RemoveWatch {
        /// On which path.
        path: Path,
        /// Which of them.
        kind: WatchKind,
    },
    /// All of these writes, or none of them, in one transaction.
    Multi(Vec<Write>),
    /// Bring the server up to date with the leader, as of now.
    Sync {
        /// Any path.
        path: Path,
    },
}

/// A write inside an [`Op::Multi`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Write {
    /// Create a znode. A sequential one cannot be named afterwards: the answer does not tell its path.
    Create {
        /// Where.
        path: Path,
        /// Its data.
        data: Vec<u8>,
        /// Its kind.
        mode: CreateMode,
    },
    /// Delete a znode.
    Delete {
        /// Which.
        path: Path,
        /// At which data version.
        version: Version,
    },
    /// Replace a znode's data.
    SetData {
        /// Which.
        path: Path,
        /// By what.
        data: Vec<u8>,
        /// At which data version.
        version: Version,
    },
    /// Fail the transaction unless the znode is at this version.
    Check {
        /// Which.
        path: Path,
        /// The version.
        version: Version,
    },
}

/// The kind of a created znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent,
    /// Goes with the session.
    Ephemeral,
    /// Goes with the session; its name gets a sequence number.
    EphemeralSequential,
    /// Removed by the server some time after its last child.
    Container,
}

/// A condition on a data version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Version {
    /// No condition.
    Any,
    /// Exactly this one. Never computed into −1, which the protocol takes for "any" (CURATOR-688).
    Exactly(i32),
}

/// Which watch an [`Op::RemoveWatch`] gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WatchKind {
    /// The one-shot left by [`Op::GetData`] or [`Op::Exists`].
    Data,
    /// The one-shot left by [`Op::GetChildren`].
    Children,
    /// The persistent recursive one.
    Recursive,
}

/// What became of an operation.
pub type Outcome = Result<Reply, OpError>;

/// The answer to an operation that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// The znode was created.
    Created {
        /// Its path, sequence number included.
        path: Path,
        /// Its stat. Its czxid is the zxid of the creation.
        stat: Stat,
    },
    /// The znode was deleted.
    Deleted,
    /// The data was replaced.
    Set {
        /// The stat after it.
        stat: Stat,
    },
    /// Data and stat.
    Data {
        /// The data.
        data: Vec<u8>,
        /// The stat.
        stat: Stat,
    },
    /// The stat.
    Exists {
        /// The stat.
        stat: Stat,
    },
    /// The children.
    Children {
        /// Their names, in any order. Untrusted.
        names: Vec<String>,
        /// The parent's stat.
        stat: Stat,
    },
    /// The watch is armed.
    WatchAdded,
    /// The watch is gone.
    WatchRemoved,
    /// The transaction was applied; an answer a write, in their order.
    Multi(Vec<WriteReply>),
    /// The server has caught up.
    Synced,
}

/// The answer to one write of an [`Op::Multi`] that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WriteReply {
    /// The znode was created. ZooKeeper 3.8 tells no stat inside a transaction (ZOOKEEPER-4026, ZOOKEEPER-4667).
    Created,
    /// The znode was deleted.
    Deleted,
    /// The data was replaced; the stat after this write. Its mzxid is the zxid of the transaction.
    Set {
        /// The stat.
        stat: Stat,
    },
    /// The version was as asked.
    Checked,
}

/// Why an operation did not succeed, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpError {
    /// The server refused it: nothing changed.
    Refused(ErrorCode),
    /// The server refused a transaction because of the write at `index`: nothing changed.
    RefusedAt {
        /// The first write that failed.
        index: u32,
        /// Why.
        code: ErrorCode,
    },
    /// Nobody can tell: the connection or the session ended first, or the answer made no sense.
    /// A write may have been applied or not; it never means "it did not happen".
    Unknown,
}

/// ZooKeeper's answers that are definite. A driver maps everything else to [`OpError::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// −5
    MarshallingError,
    /// −6
    Unimplemented,
    /// −8
    BadArguments,
    /// −101
    NoNode,
    /// −102
    NoAuth,
    /// −103
    BadVersion,
    /// −108
    NoChildrenForEphemerals,
    /// −110
    NodeExists,
    /// −111
    NotEmpty,
    /// −114
    InvalidAcl,
    /// −115
    AuthFailed,
    /// −118
    SessionMoved,
    /// −119
    NotReadOnly,
    /// −121
    NoWatcher,
    /// −123
    ReconfigDisabled,
    /// −125
    QuotaExceeded,
    /// −127
    Throttled,
    /// The driver refused to send it: it would not fit into a frame.
    TooLarge,
}

/// What the server knows about a znode besides its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stat {
    /// The transaction that created it.
    pub czxid: Zxid,
    /// The transaction that last changed its data.
    pub mzxid: Zxid,
    /// When it was created, in milliseconds of the server's wall clock.
    pub ctime: i64,
    /// When its data was last changed, likewise.
    pub mtime: i64,
    /// How often its data changed.
    pub version: i32,
    /// How often its children changed.
    pub cversion: i32,
    /// How often its access control list changed.
    pub aversion: i32,
    /// The session that owns it; 0 for none, and special values for containers and TTL nodes.
    pub ephemeral_owner: i64,
    /// The length of its data.
    pub data_length: i32,
    /// How many children it has.
    pub num_children: i32,
    /// The transaction that last changed its children.
    pub pzxid: Zxid,
}

/// A change that a watch reports. A hint: it carries no state, and may be late.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchEvent {
    /// What happened.
    pub change: Change,
    /// To which znode.
    pub path: Path,
    /// In which transaction, where server (3.9 or newer) and driver tell.
    pub zxid: Option<Zxid>,
}

/// What happened to a watched znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
    /// A child was added or removed. Never from a recursive watch.
    ChildrenChanged,
}

impl Op {
    /// Whether the operation changes the tree, so that an unanswered one may have happened.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Delete { .. } | Self::SetData { .. } | Self::Multi(_) => true,
            Self::GetData { .. }
            | Self::Exists { .. }
            | Self::GetChildren { .. }
            | Self::AddWatch { .. }
            | Self::RemoveWatch { .. }
            | Self::Sync { .. } => false,
        }
    }
}

impl Stat {
    /// The session that owns this znode, if it is an ephemeral.
    #[must_use]
    pub const fn owner(&self) -> Option<SessionId> {
        // Containers and TTL nodes mark themselves with values that no session has.
        match self.ephemeral_owner as u64 >> 56 {
            _ if self.ephemeral_owner == 0 => None,
            0xff | 0x80 => None,
            _ => Some(SessionId(self.ephemeral_owner)),
        }
    }
}

impl OpError {
    /// The code of a refusal, wherever in a transaction it was.
    #[must_use]
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Refused(code) | Self::RefusedAt { code, .. } => Some(code),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Exactly(version) => write!(f, "{version}"),
        }
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "{code:?}"),
            Self::RefusedAt { index, code } => write!(f, "{code:?} at {index}"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn people_read_what_was_asked_and_what_came_of_it() {
        assert_eq!([Version::Any, Version::Exactly(7)].map(|version| version.to_string()), ["any", "7"]);
        let code = ErrorCode::BadVersion;
        let errors = [OpError::Refused(code), OpError::RefusedAt { index: 1, code }, OpError::Unknown];
        assert_eq!(errors.map(|error| error.to_string()), ["BadVersion", "BadVersion at 1", "Unknown"]);
        assert_eq!(errors.map(OpError::code), [Some(code), Some(code), None]);
    }
}
