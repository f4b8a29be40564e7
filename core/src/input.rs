//! What comes in from the outside.

use serde::{Deserialize, Serialize};

use crate::ids::{RequestId, SessionEpoch, SessionId, Token, Zxid};
use crate::op::{Outcome, WatchEvent};
use crate::path::Name;

/// Something that happened outside: the driver hands each one to
/// [`Coordinator::handle_input`](crate::Coordinator::handle_input).
///
/// Inputs are data, so a recording of them can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The state of the connection to ZooKeeper changed.
    Session(SessionEvent),
    /// A request was answered, or will never be ([`OpError::Unknown`](crate::op::OpError::Unknown)).
    ///
    /// Each request is answered exactly once, in the order in which requests were sent.
    Response {
        /// The epoch that the request carried.
        session_epoch: SessionEpoch,
        /// Which request.
        request: RequestId,
        /// The zxid of the reply's header, where the driver's client shows it.
        zxid: Option<Zxid>,
        /// What became of it.
        outcome: Outcome,
    },
    /// A watch fired.
    ///
    /// An event is never delivered before a reply that preceded it on the wire; a reply may overtake events,
    /// and a change of the session's state may overtake both; but after [`SessionEvent::Reconnected`] no event from
    /// before the gap is delivered.
    Watch {
        /// The epoch of the session that armed the watch.
        session_epoch: SessionEpoch,
        /// What it saw.
        event: WatchEvent,
    },
    /// The host did something that the core had asked for.
    Host(HostEvent),
}

/// A change of the connection to ZooKeeper, in the words of Curator. A read-only connection counts as
/// [`SessionEvent::Suspended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SessionEvent {
    /// A new session was established. A reconnect that came back with another session id is this, too.
    Connected {
        /// Counts sessions; greater than that of every session before.
        session_epoch: SessionEpoch,
        /// What the server calls it.
        session: SessionId,
    },
    /// The connection is down; the session may still live.
    Suspended,
    /// The connection is back within the same session. Reported also when only the gap was noticed late:
    /// then [`SessionEvent::Suspended`] may be missing before it.
    Reconnected,
    /// The session is over: expired, or given up. The driver is establishing another one.
    Lost,
}

/// The host's answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HostEvent {
    /// The application of this term has stopped, after [`Event::Stop`](crate::output::Event::Stop) or by itself.
    Stopped {
        /// Of which global.
        global: Name,
        /// Of which term.
        token: Token,
    },
}
