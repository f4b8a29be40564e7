//! What the core wants done, and what it tells.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{RegistrationId, RequestId, SessionEpoch, SessionId, Token, Zxid};
use crate::op::{ErrorCode, Op};
use crate::path::{Name, Path};
use crate::time::Instant;

/// Something that the driver must do, in the order of [`Coordinator::poll_output`](crate::Coordinator::poll_output).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Send this to ZooKeeper.
    Request(Request),
    /// Tell the application.
    Event(Event),
}

/// An operation to send, in the order of output, within the session of its epoch.
///
/// When that session is over the driver answers [`OpError::Unknown`](crate::op::OpError::Unknown) and does not send it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Its name, for the answer.
    pub id: RequestId,
    /// The session in which it must be sent.
    pub session_epoch: SessionEpoch,
    /// What to do.
    pub op: Op,
}

/// News for the application.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// The session's state changed.
    Session(SessionStatus),
    /// A registration's status changed.
    Registration {
        /// Which.
        id: RegistrationId,
        /// Its status from now on.
        status: RegistrationStatus,
    },
    /// A directory's contents or freshness changed: see [`Coordinator::directory`](crate::Coordinator::directory).
    Directory {
        /// Which.
        directory: Directory,
        /// What is true of the whole of it from now on.
        freshness: Freshness,
        /// What changed in it, in any order.
        changes: Vec<InstanceChange>,
    },
    /// What is known of the holder of a global changed, for whoever looks it up or stands for it.
    Holder {
        /// Which global.
        global: Name,
        /// Who holds it.
        holder: Holder,
    },
    /// This node leads the global from now on, until `valid_until` or later: see [`Event::Extended`].
    Elected {
        /// Which global.
        global: Name,
        /// The fencing token of the term.
        token: Token,
        /// The data version of the term record during the term: a write that checks it in a transaction fails
        /// once the term is over.
        version: i32,
        /// The payload that the term record carries: the one of the campaign that this term answers.
        payload: Arc<[u8]>,
        /// When the belief ends unless it is extended.
        valid_until: Instant,
    },
    /// All terms of this node that have not been told to stop are valid until this later point.
    Extended {
        /// When the belief ends unless it is extended again.
        valid_until: Instant,
    },
    /// The application of the term must stop now, and be done by `deadline`, after which another node may lead.
    /// Answer with [`HostEvent::Stopped`](crate::input::HostEvent::Stopped).
    Stop {
        /// Which global.
        global: Name,
        /// Which term.
        token: Token,
        /// Final: nothing extends it any more.
        deadline: Instant,
        /// Why.
        reason: StopReason,
    },
    /// The term is over. Strictly alternates with [`Event::Elected`] for each global.
    Revoked {
        /// Which global.
        global: Name,
        /// Which term.
        token: Token,
    },
    /// The candidacy that [`Coordinator::resign`](crate::Coordinator::resign) ended has left nothing behind.
    Withdrawn {
        /// Which global.
        global: Name,
    },
    /// Something is wrong that retrying may not cure; it is retried all the same.
    Degraded {
        /// Where.
        path: Path,
        /// What the server said; `None` when the znode itself makes no sense.
        code: Option<ErrorCode>,
        /// For people.
        reason: String,
    },
    /// After [`Coordinator::close`](crate::Coordinator::close): nothing is left to be done. The last output.
    Closed,
}

/// A directory of instances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Directory {
    /// The nodes that are up.
    Nodes,
    /// The instances of a service.
    Service(Name),
}

/// The state of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SessionStatus {
    /// A new session.
    Connected {
        /// Its epoch.
        session_epoch: SessionEpoch,
        /// Its id.
        session: SessionId,
    },
    /// The connection is down.
    Suspended,
    /// The connection is back in the same session.
    Reconnected,
    /// The session is over.
    Lost,
}

/// The state of a registration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegistrationStatus {
    /// Wanted, and not yet known to be there.
    Pending,
    /// ZooKeeper has it, under the current session, with the wanted payload.
    Registered {
        /// The transaction that created it.
        czxid: Zxid,
    },
    /// Another owner's znode is in the way; it is watched, and the registration follows when it goes.
    Occupied {
        /// The session that owns it; `None` when it is not an ephemeral and will not go by itself.
        owner: Option<SessionId>,
    },
    /// The server refuses it; retried slowly.
    Blocked {
        /// How it refuses.
        code: ErrorCode,
    },
    /// Unregistered, and known to be gone. The last status.
    Gone,
}

/// How far a cached answer can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Freshness {
    /// Nothing is known yet; the first read is under way.
    Loading,
    /// A watch is armed, and all that it reported has been applied or is being read.
    Fresh,
    /// It was fresh until `since`: the connection was down since then, or the server refuses a re-read.
    Stale {
        /// Since when changes may have been missed.
        since: Instant,
    },
    /// Nothing is known, and the server refuses to tell.
    Unknown,
}

/// One member of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Its name, without the mark of a payload.
    pub name: Name,
    /// Its payload; empty when it has none.
    pub payload: Arc<[u8]>,
}

/// What changed in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InstanceChange {
    /// An instance came.
    Added(Instance),
    /// An instance's payload changed.
    Updated(Instance),
    /// An instance went.
    Removed(Name),
}

/// What is known of the holder of a global.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Holder {
    /// Nothing yet.
    Unknown,
    /// Nobody holds it.
    Vacant,
    /// Somebody held it when last read, and is not known to be dead.
    Held {
        /// The term's fencing token.
        token: Token,
        /// The term's payload, opaque to the core.
        payload: Arc<[u8]>,
        /// Whether it is this node.
        own: bool,
        /// Not watched since then (the connection is down, or nobody here needs it): somebody else may hold it
        /// by now.
        stale_since: Option<Instant>,
    },
}

/// Why a term ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopReason {
    /// The caller resigned, or closed.
    Resigned,
    /// The lease was not extended in time.
    LeaseRanOut,
    /// The lease record is gone: somebody took this node for dead.
    LeaseLost,
    /// The term record names somebody else: an outside hand wrote it.
    Deposed,
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A lease's beat.
    Beat,
    /// A term's application must be told to stop, or its time is over.
    Belief,
    /// A global: its holder is silent for long enough, a term's drain is over, a turn has come, or a retry.
    Election,
    /// Something failed and is tried again.
    Retry,
    /// A cache that nobody used lately is dropped.
    Idle,
    /// Records of dead nodes are swept.
    Janitor,
    /// Closing has taken long enough.
    Close,
}

/// How long a candidacy lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Terms {
    /// Until the first term is over: the caller campaigns again with a new payload.
    One,
    /// Until the caller resigns: the same payload serves every term.
    Many,
}

impl Event {
    /// The global that it is about.
    #[must_use]
    pub fn global(&self) -> Option<&Name> {
        match self {
            Self::Holder { global, .. }
            | Self::Elected { global, .. }
            | Self::Stop { global, .. }
            | Self::Revoked { global, .. }
            | Self::Withdrawn { global } => Some(global),
            Self::Session(_)
            | Self::Registration { .. }
            | Self::Directory { .. }
            | Self::Extended { .. }
            | Self::Degraded { .. }
            | Self::Closed => None,
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes => f.write_str("nodes"),
            Self::Service(name) => write!(f, "services/{name}"),
        }
    }
}
