//! What a client wants done, and why it left a connection.

use core::fmt;

use crate::input::Input;
use crate::wire::{ConnectRequest, ErrorCode, Request};

/// Something for the embedder to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Dial this server, and send this record first. There is no other connection now.
    Connect {
        /// Its number.
        server: usize,
        /// The first record.
        request: ConnectRequest,
    },
    /// Send this on the current connection.
    Send {
        /// The request's number.
        xid: i32,
        /// The request.
        request: Request,
    },
    /// Leave the current connection, or stop dialling. What was sent before may still arrive; what comes from it
    /// must not be handed in any more.
    Disconnect {
        /// Why.
        reason: Break,
    },
    /// Hand this to the core.
    Input(Input),
    /// The client is closed, and says nothing any more.
    Closed,
}

/// Why a connection was left. Another one follows, unless the client was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The embedder says so: it could not be dialled, or it broke.
    Transport,
    /// The embedder says that the server sent a frame that nobody can read.
    Garbled,
    /// No session within the connect timeout.
    ConnectTimeout,
    /// No word from the server for too long.
    Silent,
    /// The session is over: the server does not know it any more, or expired it.
    Expired,
    /// The server gives no session to who asks for a new one.
    NoSession,
    /// The server is read-only, which was not asked for.
    ReadOnly,
    /// The server did not accept the credentials.
    AuthRefused(ErrorCode),
    /// The chroot is missing and cannot be created.
    ChrootRefused(ErrorCode),
    /// The server did not take the watches of the earlier connection back.
    WatchesRefused(ErrorCode),
    /// The server answered another request than the oldest one.
    WrongXid {
        /// That one; `None` when there was none.
        awaited: Option<i32>,
        /// What came.
        received: i32,
    },
    /// The server answered something that is no answer to the request of this number.
    Misfit {
        /// The request's number.
        xid: i32,
    },
    /// The server said something that has no place in this state of the connection.
    OutOfTurn,
    /// The session was given up on demand.
    Abandoned,
    /// The client was closed.
    Closed,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport => f.write_str("the connection broke"),
            Self::Garbled => f.write_str("the server sent a frame that cannot be read"),
            Self::ConnectTimeout => f.write_str("the server gave no session in time"),
            Self::Silent => f.write_str("the server was silent for too long"),
            Self::Expired => f.write_str("the session is over"),
            Self::NoSession => f.write_str("the server gives no new session"),
            Self::ReadOnly => f.write_str("the server is read-only"),
            Self::AuthRefused(code) => write!(f, "the server did not accept the credentials: {code}"),
            Self::ChrootRefused(code) => write!(f, "the chroot is missing and cannot be created: {code}"),
            Self::WatchesRefused(code) => write!(f, "the server did not take the watches back: {code}"),
            Self::WrongXid { awaited: Some(awaited), received } => {
                write!(f, "the server answered request {received}, and {awaited} was next")
            }
            Self::WrongXid { awaited: None, received } => {
                write!(f, "the server answered request {received}, which nobody sent")
            }
            Self::Misfit { xid } => write!(f, "the server's answer to request {xid} is none"),
            Self::OutOfTurn => f.write_str("the server spoke out of turn"),
            Self::Abandoned => f.write_str("the session was given up"),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}
