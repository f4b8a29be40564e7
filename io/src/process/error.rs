use std::io;

use thiserror::Error;

use super::id::InvalidId;
use crate::codec::EncodeError;
use crate::link::InvalidLinkConfig;

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// It cannot be encoded, or is too large.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The sender is an elected process, and its term is over: it may not act any more.
    #[error("this process's term is over: it may not send any more")]
    TermOver,
}

/// Why a message was not sent at once.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// Too much waits for that node. The message is given back.
    #[error("too much waits for the node of the receiver: wait, or send with `send`, which does")]
    Full(T),
    /// It cannot be sent at all.
    #[error(transparent)]
    Refused(#[from] SendError),
}

/// Why a node could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The links' configuration.
    #[error(transparent)]
    Links(#[from] InvalidLinkConfig),
    /// The listen address cannot be bound.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Other nodes could not dial what would be advertised.
    #[error("cannot advertise this node: {0}")]
    Advertise(#[from] InvalidId),
    /// Listening on all interfaces tells nobody where to dial.
    #[error("listening on {address} tells other nodes no address to dial: set the advertised address")]
    Unspecified {
        /// The address.
        address: String,
    },
}
